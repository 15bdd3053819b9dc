// All that a controller with TLS has to do with its hosts' certificates, put together.
import { X509Certificate } from "node:crypto";
import type { Store } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import type { Authorities } from "./authorities.ts";
import { endsSoon } from "./ending.ts";
import { Enrolment } from "./enrolment.ts";
import { HostCertificates } from "./host-certificates.ts";
import type { TlsOptions } from "./tls-options.ts";

export interface Certification {
  readonly authorities: Authorities;
  readonly certificates: HostCertificates;
  readonly enrolment: Enrolment;
}

/** Of the controller's certificates, what ends soon although it should have been renewed: the first of them. */
export function endingOf({ server, now }: Pick<TlsOptions, "server" | "now">) {
  let parsed: { readonly pem: string; readonly certificate: X509Certificate } | undefined;
  return () => {
    const pem = server.current.certificate;
    if (parsed?.pem !== pem) parsed = { pem, certificate: new X509Certificate(pem) };
    const all = [
      { of: "controller", certificate: parsed.certificate },
      { of: "ca", certificate: server.authorities.issuing.certificate },
    ] as const;
    const ending = all.flatMap(({ of, certificate: { validFrom, validTo } }) => {
      const expiresMs = Date.parse(validTo);
      return endsSoon(expiresMs, expiresMs - Date.parse(validFrom), now().getTime()) ? [{ of, expiresMs }] : [];
    });
    return ending.sort((a, b) => a.expiresMs - b.expiresMs)[0];
  };
}

export async function openCertification(
  { server, certificateLifetimeMs, graceMs, now }: TlsOptions,
  committer: Committer,
  { credentials: store }: Pick<Store, "credentials">,
): Promise<Certification> {
  const { authorities } = server;
  const certificates = await HostCertificates.open({
    committer,
    store,
    authorities,
    lifetimeMs: certificateLifetimeMs,
    now,
  });
  const enrolment = new Enrolment({
    committer,
    store,
    authorities,
    certificates,
    server: () => server.current,
    certificateLifetimeMs,
    graceMs,
    now,
  });
  return { authorities, certificates, enrolment };
}
