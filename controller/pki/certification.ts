// All that a controller with TLS has to do with its hosts' certificates, put together.
import type { Store } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import type { Authorities } from "./authorities.ts";
import { Enrolment } from "./enrolment.ts";
import { HostCertificates } from "./host-certificates.ts";
import type { TlsOptions } from "./tls-options.ts";

export interface Certification {
  readonly authorities: Authorities;
  readonly certificates: HostCertificates;
  readonly enrolment: Enrolment;
}

export async function openCertification(
  { server, certificateLifetimeMs, graceMs, now }: TlsOptions,
  committer: Committer,
  { credentials: store }: Pick<Store, "credentials">,
): Promise<Certification> {
  const { authorities } = server;
  const certificates = await HostCertificates.open({ committer, store, authorities, now });
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
