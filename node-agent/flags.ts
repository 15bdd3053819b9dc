// The flags of `nearmiss agent`, as they are parsed.
import type { IdentityFlags } from "./identity/establish.ts";
import type { Adoptable } from "./kernel/devices/adoption.ts";
import type { MetricsAddress } from "./metrics/server.ts";
import type { Caps } from "./tables/ageing.ts";

export interface AgentFlags extends IdentityFlags {
  readonly announce: boolean;
  /** For `agent status` and `explain`; absent: after the host's name. */
  readonly socket?: string;
  /** Infinity: never. */
  readonly idleMs: number;
  readonly caps: Caps;
  readonly maxReplicaBytes: number;
  readonly antiSpoof: boolean;
  readonly underlayFilter: boolean;
  readonly adoptable: Adoptable;
  /** Absent: none are served. */
  readonly metrics?: MetricsAddress;
  readonly logLevel: string;
}
