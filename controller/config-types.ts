// What `nearmiss controller` runs with, as its flags say.
import type { ListenAddress } from "./listen-address.ts";

export interface TlsConfig {
  /** The operator's certificate; absent: one of the controller's own CA. */
  readonly files?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** DNS names and addresses by which the controller is reached, beside the one that it listens on. */
  readonly names: readonly string[];
  readonly certificateLifetimeMs: number;
  /** For how long an expired certificate of a host still renews. */
  readonly graceMs: number;
  /** Makes a CA where there is none, also if hosts have certificates of another. */
  readonly newCa?: boolean;
}

export type FastPath = "warm" | "cold";

export interface ControllerConfig {
  readonly listen: ListenAddress;
  readonly db: string;
  /** Absent: plain HTTP. */
  readonly tls?: TlsConfig;
  readonly insecure: boolean;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
  readonly rateLimit: number;
  readonly tokenConnections: number;
  readonly strangerConnections: number;
  /** ms; Infinity: off. */
  readonly logMaxAge: number;
  readonly logMaxEvents: number;
  /** ms; Infinity: off. */
  readonly auditMaxAge: number;
  readonly auditMaxEntries: number;
  readonly logLevel: string;
  /** Whether the code that answers agents is kept warm. */
  readonly fastPath: FastPath;
  /** ms; absent: backups are not expected. */
  readonly backupWithin?: number;
}
