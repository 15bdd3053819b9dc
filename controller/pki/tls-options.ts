// The inputs of the app for serving TLS and for certifying hosts.
import type { ServerTls } from "./server-tls.ts";

export interface TlsOptions {
  readonly server: ServerTls;
  /** Of hosts' certificates. */
  readonly certificateLifetimeMs: number;
  /** For how long an expired certificate still renews. */
  readonly graceMs: number;
  /** The clock for dating and checking hosts' certificates and join tokens. */
  readonly now: () => Date;
}
