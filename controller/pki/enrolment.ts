// Issues host certificates: for a join token, once, or for a valid certificate of the host.
import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { defaultVtepPort, type VtepAddress } from "../../schema/address/index.ts";
import type { Credentials } from "../../schema/agent/index.ts";
import { type Actor, type Host, type JoinTokenView, parseHost } from "../../schema/rest/index.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { CredentialStore } from "../store/credential-store.ts";
import type { Committer } from "../write/committer.ts";
import { written } from "../write/orders.ts";
import type { Authorities } from "./authorities.ts";
import { type HostCertificates, keyHash } from "./host-certificates.ts";
import { type HostRequest, issueHostCertificate, readHostRequest, validityFrom } from "./x509.ts";

const defaultJoinTtlMs = 3_600_000;
const tokenPrefix = "nmj_";

export interface EnrolmentDeps {
  readonly committer: Committer;
  readonly store: CredentialStore;
  readonly authorities: Authorities;
  readonly certificates: HostCertificates;
  /** CA certificates to verify the controller with, and its URL. */
  readonly server: () => { readonly ca: string; readonly caHash: string | null; readonly url: string };
  readonly certificateLifetimeMs: number;
  /** Grace period in which an expired certificate can be renewed with its key; after that a new join token is required. */
  readonly graceMs: number;
  readonly now: () => Date;
}

export class Enrolment {
  constructor(private readonly deps: EnrolmentDeps) {}

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
    const enrolled = this.deps.certificates.isEnrolled(host);
    return { host, token, expiresAt: expires, controller, caHash, enrolled };
  }

  /**
   * A certificate for a join token. The token is bound to the request's key: the same request may be repeated if the
   * answer was lost, but not with another key.
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
    // From here on the token is valid for this key only, even if other requests with it are in progress.
    if (!(await this.deps.store.useJoinToken(hash, key))) throw usedUp(name);
    return this.issue(host, request, key, by, "enrolled");
  }

  /**
   * Another certificate for the key of the one that the connection shows, which may have expired a while ago.
   * @throws Refusal, InputError
   */
  async renew(socket: Socket, csr: string, address: string): Promise<Credentials> {
    const { certificates } = this.deps;
    const shown = certificates.findShown(socket);
    const host = shown && certificates.findHostOf(shown.subject);
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

  /** Trust for agents: the CAs of the controller, and the CA that signs their next certificate. */
  get trust(): { readonly ca: string; readonly issuer: string } {
    return { ca: this.deps.server().ca, issuer: this.deps.authorities.issuing.certificate.subject };
  }

  /** The token's host; its agent registers it if no operator has. */
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
    const { authorities, certificateLifetimeMs, certificates, now } = this.deps;
    const generation = certificates.generationOf(host.uid);
    const validity = validityFrom(now(), certificateLifetimeMs);
    const issuer = authorities.issuing;
    const subject = { host: host.name, uid: host.uid, generation };
    const certificate = await issueHostCertificate(issuer, request, subject, validity);
    const expires = validity.notAfter.toISOString();
    const what = `host.${verb} hosts/${host.name} (key ${key.slice(0, 16)}, until ${expires})`;
    await certificates.keep(subject, { key, issuer: issuer.certificate.subject, expires }, by, what);
    return { host: host.name, certificate, ca: this.deps.server().ca };
  }
}

/** Not a hash for passwords: 256 random bits need none. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
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
