// How hosts come to certificates, keep them, and lose them. A certificate counts as long as a CA of ours has signed it,
// its dates hold, its host exists with the same uid, and the host was not revoked since: all of it is looked up anew
// whenever somebody shows one.
import { createHash, randomBytes, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import {
  type Actor,
  type Credentials,
  defaultVtepPort,
  type Host,
  type JoinTokenView,
  parseHost,
  type Revision,
  type VtepAddress,
} from "../../schema/index.ts";
import type { CertifiedHost } from "../auth/identity.ts";
import type { Committer } from "../committer.ts";
import { Refusal } from "../inventory/refusal.ts";
import { written } from "../orders.ts";
import type { CredentialStore, HostCredential } from "../store/credential-store.ts";
import type { Commit } from "../store/store.ts";
import type { Authorities } from "./authorities.ts";
import { findHostSubject, type HostSubject } from "./subject.ts";
import { type HostRequest, issueHostCertificate, readHostRequest, validityFrom } from "./x509.ts";

const defaultJoinTtlMs = 3_600_000;
const tokenPrefix = "nmj_";

export interface EnrolmentDeps {
  readonly committer: Committer;
  readonly store: CredentialStore;
  readonly authorities: Authorities;
  /** What the controller's own certificate is checked with, and where it is reached. */
  readonly server: () => { readonly ca: string; readonly caHash: string | null; readonly url: string };
  readonly certificateLifetimeMs: number;
  /** An expired certificate still renews for so long, by whoever has its key; after that it takes a new join token. */
  readonly graceMs: number;
  readonly now: () => Date;
}

/** A certificate that a peer has shown and has the key of. */
interface Shown {
  readonly subject: HostSubject;
  readonly key: string;
  readonly issuer: string;
  readonly expiresMs: number;
}

export class Enrolment {
  private readonly byUid: Map<string, HostCredential>;
  /** A connection shows one certificate all its life, and a CA's signature does not change. */
  private readonly shownBy = new WeakMap<Socket, { certificate: X509Certificate; shown: Shown | undefined }>();
  private readonly revokedListeners = new Set<(host: string) => void>();

  private constructor(
    private readonly deps: EnrolmentDeps,
    credentials: readonly HostCredential[],
  ) {
    this.byUid = new Map(credentials.map((each) => [each.hostUid, each]));
    deps.committer.subscribe((commit) => this.onCommit(commit));
  }

  static async open(deps: EnrolmentDeps): Promise<Enrolment> {
    const credentials = await deps.store.listCredentials();
    const gone = credentials.filter(({ host, hostUid }) => deps.committer.current.findHost(host)?.uid !== hostUid);
    if (gone.length > 0) await deps.store.forgetHosts(gone.map(({ hostUid }) => hostUid));
    return new Enrolment(
      deps,
      credentials.filter((each) => !gone.includes(each)),
    );
  }

  /** Called with the name of a host whose certificates were revoked. */
  onRevoked(listener: (host: string) => void): void {
    this.revokedListeners.add(listener);
  }

  async createJoinToken(host: string, by: Actor, ttlMs = defaultJoinTtlMs): Promise<JoinTokenView> {
    const token = tokenPrefix + randomBytes(32).toString("base64url");
    const uid = this.deps.committer.current.findHost(host)?.uid ?? null;
    const now = this.deps.now();
    const expires = new Date(now.getTime() + ttlMs).toISOString();
    await this.deps.store.addJoinToken(
      { hash: sha256(token), host, hostUid: uid, expires, key: null },
      by,
      now.toISOString(),
    );
    const { url: controller, caHash } = this.deps.server();
    const enrolled = this.isEnrolled(host);
    return { host, token, expiresAt: expires, controller, caHash, enrolled };
  }

  /**
   * A certificate for a join token. The token is spent on the request's key: the same request may come again, should the
   * answer have been lost, and no other.
   * @throws Refusal, InputError
   */
  async enrol(token: string, csr: string, vtep: VtepAddress | undefined, address: string): Promise<Credentials> {
    const request = await readHostRequest(csr);
    const hash = sha256(token);
    const known = await this.deps.store.findJoinToken(hash);
    if (!known) throw new Refusal("unauthenticated", `no such join token: ${cure("HOST")}`);
    const { host: name } = known;
    if (Date.parse(known.expires) <= this.deps.now().getTime()) {
      throw new Refusal("unauthenticated", `the join token has expired at ${known.expires}: ${cure(name)}`);
    }
    checkRequestName(request, name);
    const key = keyHash(request.spki);
    if (known.key !== null && known.key !== key) throw usedUp(name);
    const by: Actor = { name: `join token of ${name}`, role: "host", address, scope: "all" };
    const host = await this.hostFor(name, known.hostUid, vtep, by);
    // From here on the token is this key's alone, whoever else is on the way.
    if (!(await this.deps.store.useJoinToken(hash, key))) throw usedUp(name);
    return this.issue(host, request, key, by, "enrolled");
  }

  /**
   * Another certificate for the key of the one that the connection shows, which may have expired a while ago.
   * @throws Refusal, InputError
   */
  async renew(socket: Socket, csr: string, address: string): Promise<Credentials> {
    const shown = this.findShown(socket);
    const host = shown && this.findHostOf(shown.subject);
    if (!shown || !host) {
      throw new Refusal(
        "unauthenticated",
        `show a certificate of this controller's that is not revoked, or ${cure("HOST")}`,
      );
    }
    const lateMs = this.deps.now().getTime() - shown.expiresMs;
    if (lateMs > this.deps.graceMs) {
      throw new Refusal("unauthenticated", `the certificate has expired ${days(lateMs)} ago: ${cure(host.name)}`);
    }
    const request = await readHostRequest(csr);
    checkRequestName(request, host.name);
    const key = keyHash(request.spki);
    if (key !== shown.key) {
      throw new Refusal("forbidden", `a renewal keeps the key: for another, ${cure(host.name)}`);
    }
    const by: Actor = { name: `host ${host.name}`, role: "host", address, scope: new Set() };
    return this.issue(host, request, key, by, "renewed");
  }

  /** Refuses every certificate and join token that the host has. @throws Refusal where there is no such host */
  async revoke(name: string, by: Actor): Promise<void> {
    const host = this.deps.committer.current.findHost(name);
    if (!host) throw new Refusal("not-found", `no host is named "${name}"`);
    const generation = this.generationOf(host.uid) + 1;
    const credential = { hostUid: host.uid, host: name, generation, issued: null };
    await this.deps.store.revoke(credential, by, this.deps.now().toISOString());
    this.byUid.set(host.uid, credential);
    for (const listener of this.revokedListeners) listener(name);
  }

  /** The host that the peer of a TLS connection proves to be, now. */
  findCertified(socket: Socket): CertifiedHost | undefined {
    const shown = this.findShown(socket);
    if (!shown || shown.expiresMs <= this.deps.now().getTime() || !this.findHostOf(shown.subject)) return undefined;
    const { subject, ...rest } = shown;
    return { kind: "host", name: subject.host, uid: subject.uid, generation: subject.generation, ...rest };
  }

  /** Whether a session may go on that began with this certificate: it holds, or one that the key got since. */
  isStillGood({ name: host, uid, generation, key, issuer, expiresMs }: CertifiedHost): boolean {
    if (!this.findHostOf({ host, uid, generation })) return false;
    const issued = this.byUid.get(uid)?.issued;
    const renewed = issued?.key === key ? issued : undefined;
    const lastsUntil = renewed ? Date.parse(renewed.expires) : expiresMs;
    return lastsUntil > this.deps.now().getTime() && this.deps.authorities.isTrusted(renewed?.issuer ?? issuer);
  }

  /** Hosts whose last certificate this CA has signed. */
  hostsOf(authority: X509Certificate): string[] {
    const { subject } = authority;
    return [...this.byUid.values()].filter(({ issued }) => issued?.issuer === subject).map(({ host }) => host);
  }

  /** What agents are to know: how to check the controller, and who signs their next certificate. */
  get trust(): { readonly ca: string; readonly issuer: string } {
    return { ca: this.deps.server().ca, issuer: this.deps.authorities.issuing.certificate.subject };
  }

  /** Into the audit trail. */
  record(by: Actor, what: string): Promise<void> {
    return this.deps.store.record(by, what, this.deps.now().toISOString());
  }

  private isEnrolled(name: string): boolean {
    const uid = this.deps.committer.current.findHost(name)?.uid;
    const issued = uid === undefined ? null : this.byUid.get(uid)?.issued;
    return issued !== null && issued !== undefined && Date.parse(issued.expires) > this.deps.now().getTime();
  }

  /** The token's host, registered by its agent where nobody has. */
  private async hostFor(name: string, uid: string | null, vtep: VtepAddress | undefined, by: Actor): Promise<Host> {
    const { committer } = this.deps;
    const host = committer.current.findHost(name);
    if (host && (uid === null || host.uid === uid)) return host;
    if (uid !== null) {
      throw new Refusal("unauthenticated", `host "${name}" was deleted since the token was made: ${cure(name)}`);
    }
    if (vtep === undefined) {
      throw new Refusal("unknown-reference", `host "${name}" is not registered: name the agent's --vtep`);
    }
    const spec = parseHost(name, { vtep, port: defaultVtepPort }, "agent");
    return written(await committer.mutate(by, { kind: "host.register", spec }), "host").resource;
  }

  private async issue(host: Host, request: HostRequest, key: string, by: Actor, verb: string): Promise<Credentials> {
    const { authorities, certificateLifetimeMs, now, store } = this.deps;
    const generation = this.generationOf(host.uid);
    const validity = validityFrom(now(), certificateLifetimeMs);
    const issuer = authorities.issuing;
    const subject = { host: host.name, uid: host.uid, generation };
    const certificate = await issueHostCertificate(issuer, request, subject, validity);
    const expires = validity.notAfter.toISOString();
    const credential: HostCredential = {
      hostUid: host.uid,
      host: host.name,
      generation,
      issued: { key, issuer: issuer.certificate.subject, expires },
    };
    const what = `host.${verb} hosts/${host.name} (key ${key.slice(0, 16)}, until ${expires})`;
    await store.putCredential(credential, by, what, now().toISOString());
    // Revoked while this was being written: what leaves is refused already.
    if (this.generationOf(host.uid) === generation) this.byUid.set(host.uid, credential);
    return { host: host.name, certificate, ca: this.deps.server().ca };
  }

  private findShown(socket: Socket): Shown | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    const certificate = this.shownBy.get(socket)?.certificate ?? socket.getPeerX509Certificate();
    if (!certificate) return undefined;
    if (!this.deps.authorities.haveIssued(certificate)) return undefined;
    const known = this.shownBy.get(socket);
    if (known) return known.shown;
    const subject = findHostSubject(certificate);
    const key = keyHash(certificate.publicKey.export({ type: "spki", format: "der" }));
    const { issuer, validTo } = certificate;
    const shown = subject && { subject, key, issuer, expiresMs: Date.parse(validTo) };
    this.shownBy.set(socket, { certificate, shown });
    return shown;
  }

  /** The host as it is registered, unless it is another of the same name, or was revoked. */
  private findHostOf({ host: name, uid, generation }: HostSubject): Host | undefined {
    const host = this.deps.committer.current.findHost(name);
    return host?.uid === uid && generation >= this.generationOf(uid) ? host : undefined;
  }

  private generationOf(uid: string): number {
    return this.byUid.get(uid)?.generation ?? 0;
  }

  private onCommit({ changes }: Pick<Commit, "changes"> & { readonly revision: Revision }): void {
    const gone = changes.flatMap(({ kind, before, after }) => (kind === "host" && before && !after ? before.uid : []));
    for (const uid of gone) this.byUid.delete(uid);
    // Rows that stay behind after a crash are swept at the next start: nobody can use them.
    if (gone.length > 0) void this.deps.store.forgetHosts(gone).catch(() => {});
  }
}

/** Not a hash for passwords: 256 random bits need none. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function keyHash(spki: Buffer): string {
  return createHash("sha256").update(spki).digest("hex");
}

function checkRequestName({ name }: HostRequest, host: string): void {
  if (name === undefined || name === host) return;
  throw new Refusal("forbidden", `the request names "${name}", and this is for host "${host}"`);
}

function usedUp(host: string): Refusal {
  return new Refusal("unauthenticated", `the join token was used before: ${cure(host)}`);
}

function cure(host: string): string {
  return `\`nearmiss host add ${host}\` prints a new line for the host`;
}

function days(ms: number): string {
  return ms < 172_800_000 ? `${Math.ceil(ms / 1_000)} s` : `${Math.floor(ms / 86_400_000)} days`;
}
