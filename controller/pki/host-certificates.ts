// Certificates of hosts, and whether one is valid: signed by one of our CAs, within its dates, its host exists with the same
// uid, and the host was not revoked since. All of this is checked each time a client presents a certificate.
import { createHash, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Revision } from "../../schema/address/index.ts";
import type { Actor, Host } from "../../schema/rest/index.ts";
import type { CertifiedHost } from "../auth/identity.ts";
import { placesIn } from "../inventory/changes.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { CredentialStore, HostCredential } from "../store/credential-store.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import type { Authorities } from "./authorities.ts";
import { endsSoon } from "./ending.ts";
import { findHostSubject, type HostSubject } from "./subject.ts";

export interface HostCertificatesDeps {
  readonly committer: Committer;
  readonly store: CredentialStore;
  readonly authorities: Authorities;
  /** Of the certificates that are issued. */
  readonly lifetimeMs: number;
  readonly now: () => Date;
}

/** A certificate that a peer has shown and has the key of. */
interface Shown {
  readonly subject: HostSubject;
  readonly key: string;
  readonly issuer: string;
  readonly expiresMs: number;
}

export class HostCertificates {
  private readonly byUid: Map<string, HostCredential>;
  /** A connection shows one certificate all its life, and a CA's signature does not change. */
  private readonly shownBy = new WeakMap<Socket, { certificate: X509Certificate; shown: Shown | undefined }>();
  private readonly revokedListeners = new Set<(host: string) => void>();

  private constructor(
    private readonly deps: HostCertificatesDeps,
    credentials: readonly HostCredential[],
  ) {
    this.byUid = new Map(credentials.map((each) => [each.hostUid, each]));
    deps.committer.subscribe((commit) => this.onCommit(commit));
  }

  static async open(deps: HostCertificatesDeps): Promise<HostCertificates> {
    const credentials = await deps.store.listCredentials();
    const gone = credentials.filter(({ host, hostUid }) => deps.committer.current.findHost(host)?.uid !== hostUid);
    if (gone.length > 0) await deps.store.forgetHosts(gone.map(({ hostUid }) => hostUid));
    return new HostCertificates(
      deps,
      credentials.filter((each) => !gone.includes(each)),
    );
  }

  /** Called with the name of a host whose certificates were revoked. */
  onRevoked(listener: (host: string) => void): void {
    this.revokedListeners.add(listener);
  }

  /**
   * Refuses every certificate and join token of the host; the certificates at once, because an import that is being written keeps the
   * store busy for seconds.
   * @throws Refusal if there is no such host, and what the store throws: then the certificates are valid again
   */
  async revoke(name: string, by: Actor): Promise<void> {
    const host = this.deps.committer.current.findHost(name);
    if (!host) throw new Refusal("not-found", `no host is named "${name}"`);
    const before = this.byUid.get(host.uid);
    const generation = this.generationOf(host.uid) + 1;
    const credential = { hostUid: host.uid, host: name, generation, issued: null };
    this.byUid.set(host.uid, credential);
    for (const listener of this.revokedListeners) listener(name);
    try {
      await this.deps.store.revoke(credential, by, this.deps.now().toISOString());
    } catch (error) {
      if (this.byUid.get(host.uid) === credential) {
        if (before) this.byUid.set(host.uid, before);
        else this.byUid.delete(host.uid);
      }
      throw error;
    }
  }

  /** The host that the peer of a TLS connection proves to be, now. */
  findCertified(socket: Socket): CertifiedHost | undefined {
    const shown = this.findShown(socket);
    if (!shown || shown.expiresMs <= this.deps.now().getTime() || !this.findHostOf(shown.subject)) return undefined;
    const { subject, ...rest } = shown;
    return { kind: "host", name: subject.host, uid: subject.uid, generation: subject.generation, ...rest };
  }

  /** The host whose certificate the peer shows although it is not valid any more. */
  findEnded(socket: Socket): { readonly host: string; readonly reason: "expired" | "revoked" } | undefined {
    const shown = this.findShown(socket);
    if (!shown || !this.deps.committer.current.findHost(shown.subject.host)) return undefined;
    const { host } = shown.subject;
    if (!this.findHostOf(shown.subject)) return { host, reason: "revoked" };
    return shown.expiresMs <= this.deps.now().getTime() ? { host, reason: "expired" } : undefined;
  }

  /** Hosts whose last certificate ends soon although their agents should have renewed it. */
  listEnding(): { readonly host: string; readonly expiresMs: number }[] {
    return [...this.byUid.keys()].flatMap((uid) => this.findEnding(uid) ?? []);
  }

  findEnding(uid: string): { readonly host: string; readonly expiresMs: number } | undefined {
    const { host, issued } = this.byUid.get(uid) ?? {};
    if (host === undefined || !issued) return undefined;
    const expiresMs = Date.parse(issued.expires);
    return endsSoon(expiresMs, this.deps.lifetimeMs, this.deps.now().getTime()) ? { host, expiresMs } : undefined;
  }

  /** The peer shows a certificate that was revoked, of a host that is registered: not one of an older or unknown store. */
  isRevoked(socket: Socket): boolean {
    const subject = this.findShown(socket)?.subject;
    if (!subject || this.findHostOf(subject)) return false;
    return this.deps.committer.current.findHost(subject.host)?.uid === subject.uid;
  }

  /**
   * Whether a session that began with this certificate may continue: it is valid, or a later one of the same key is.
   */
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

  /** Once this is on disk, the certificate counts. */
  async keep(
    { host, uid, generation }: HostSubject,
    issued: NonNullable<HostCredential["issued"]>,
    by: Actor,
    what: string,
  ): Promise<void> {
    const credential = { hostUid: uid, host, generation, issued };
    await this.deps.store.putCredential(credential, by, what, this.deps.now().toISOString());
    // Revoked while this was being written: the new certificate is already refused.
    if (this.generationOf(uid) === generation) this.byUid.set(uid, credential);
  }

  /** Into the audit trail. */
  record(by: Actor, what: string): Promise<void> {
    return this.deps.store.record(by, what, this.deps.now().toISOString());
  }

  /** Whether the host has a certificate within its dates. */
  isEnrolled(name: string): boolean {
    const uid = this.deps.committer.current.findHost(name)?.uid;
    const issued = uid === undefined ? null : this.byUid.get(uid)?.issued;
    return issued !== null && issued !== undefined && Date.parse(issued.expires) > this.deps.now().getTime();
  }

  /** The certificate of a TLS peer, if we issued it; it may have expired, or been revoked. */
  findShown(socket: Socket): Shown | undefined {
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
  findHostOf({ host: name, uid, generation }: HostSubject): Host | undefined {
    const host = this.deps.committer.current.findHost(name);
    return host?.uid === uid && generation >= this.generationOf(uid) ? host : undefined;
  }

  /** Certificates of an earlier one are revoked. */
  generationOf(uid: string): number {
    return this.byUid.get(uid)?.generation ?? 0;
  }

  private onCommit({ changes }: Pick<Commit, "changes"> & { readonly revision: Revision }): void {
    const gone = [...placesIn(changes)].flatMap(({ kind, before, after }) =>
      kind === "host" && before && !after ? before.uid : [],
    );
    for (const uid of gone) this.byUid.delete(uid);
    // Rows that are left after a crash are removed at the next start: they cannot be used.
    if (gone.length > 0) void this.deps.store.forgetHosts(gone).catch(() => {});
  }
}

/** Of a SubjectPublicKeyInfo, DER. */
export function keyHash(spki: Buffer): string {
  return createHash("sha256").update(spki).digest("hex");
}
