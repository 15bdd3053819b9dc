// What the app needs to serve TLS and to certify hosts.
import type { ServerTls } from "./server-tls.ts";

export interface TlsOptions {
  readonly server: ServerTls;
  /** Of hosts' certificates. */
  readonly certificateLifetimeMs: number;
  /** For how long an expired certificate still renews. */
  readonly graceMs: number;
  /** What hosts' certificates and join tokens are dated and judged with. */
  readonly now: () => Date;
}
