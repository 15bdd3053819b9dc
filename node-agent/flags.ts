// The flags of `nearmiss agent`, as they are parsed.
import type { VtepAddress } from "../schema/address/index.ts";
import type { IdentityFlags } from "./identity/establish.ts";
import type { Adoptable } from "./kernel/devices/adoption.ts";
import type { MetricsAddress } from "./metrics/server.ts";
import type { FastPath } from "./open-kernel.ts";
import type { Caps } from "./tables/ageing.ts";

export interface AgentFlags extends IdentityFlags {
  readonly announce: boolean;
  readonly fastPath: FastPath;
  /** Absent: the registered VTEP. */
  readonly localVtep?: VtepAddress;
  /** For `agent status` and `explain`; absent: after the host's name. */
  readonly socket?: string;
  /** Infinity: never. */
  readonly idleMs: number;
  readonly caps: Caps;
  readonly maxReplicaBytes: number;
  /** Infinity: without a limit. */
  readonly maxStaleMs: number;
  /** That the broadcasts of one guest port may become. */
  readonly copiesPerSecond: number;
  /** Whether this host's networks are kept in the state directory; `enrolled`: if this host is, over TLS. */
  readonly remember: "on" | "off" | "enrolled";
  readonly antiSpoof: boolean;
  readonly underlayFilter: boolean;
  readonly adoptable: Adoptable;
  /** Absent: none are served. */
  readonly metrics?: MetricsAddress;
  readonly logLevel: string;
}
