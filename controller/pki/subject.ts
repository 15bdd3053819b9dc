// The host that a certificate identifies: a URI in its subject alternative name (RFC 5280 §4.2.1.6).
import type { X509Certificate } from "node:crypto";

export interface HostSubject {
  readonly host: string;
  /** Changes when the host is deleted and created again: the old certificate is then not valid. */
  readonly uid: string;
  /** Counts the host's revocations: a certificate from before the last is refused. */
  readonly generation: number;
}

const scheme = "urn:nearmiss:host";

export function hostUri({ host, uid, generation }: HostSubject): string {
  return `${scheme}:${host}:${uid}:${generation}`;
}

/** Only for certificates of our own CAs: others may contain the same. */
export function findHostSubject(certificate: X509Certificate): HostSubject | undefined {
  const pattern = /^URI:urn:nearmiss:host:([A-Za-z0-9._-]{1,63}):([0-9a-f-]{36}):(\d{1,9})$/;
  const [, host, uid, generation] = pattern.exec(certificate.subjectAltName ?? "") ?? [];
  return host && uid ? { host, uid, generation: Number(generation) } : undefined;
}
