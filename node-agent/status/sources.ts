// Sources of the status: the agent's parts, which do not depend on this file.
import type { Heat } from "../../common/heat.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { LinkStatus } from "../controller-link/link-state.ts";
import type { Core } from "../core.ts";
import type { ControllerReader } from "../identity/read.ts";
import type { MissThread } from "../kernel/miss-thread/miss-thread.ts";
import type { RecentMisses } from "../misses/recent.ts";
import type { Kernel } from "../open-kernel.ts";
import type { GuestFinding } from "../tables/local-guests.ts";
import type { FilterProblem } from "../watch/host-filter.ts";

/** This host's position in the controller's log. */
export interface Position {
  readonly link: LinkStatus;
  /** Absent before the first session. */
  readonly epoch?: string;
  readonly asOf?: Revision;
  /** The kernel has every change up to here, and the controller has the confirmation. */
  readonly applied?: Revision;
}

/** Messages that the kernel dropped because the agent read too slowly. */
export interface Drops {
  readonly misses: number;
  readonly changes: number;
}

type CoreParts =
  | "registered"
  | "register"
  | "networks"
  | "ports"
  | "held"
  | "resolver"
  | "announcer"
  | "reporter"
  | "replicas"
  | "replication"
  | "conditions"
  | "broadcasts"
  | "groups"
  | "groupTables"
  | "takeovers";

export interface StatusSources extends Pick<Core, CoreParts>, Pick<Kernel, "requests" | "devices" | "tables"> {
  /** Made-up misses between real ones; absent unless with `--fast-path warm`. */
  readonly heat?: Pick<Heat, "state" | "runs" | "ms" | "everyMs"> | undefined;
  /** Absent with `--fast-path off`. */
  readonly missThread?: Pick<MissThread, "state" | "reason" | "heat"> | undefined;
  readonly host: string;
  readonly controller: URL;
  readonly readController: ControllerReader;
  readonly recent: RecentMisses;
  position(): Position;
  drops(): Drops;
  /** Addresses that were evicted as idle. */
  aged(): number;
  /** Bridge entries that guests' frames had moved to their ports, and that were restored. */
  thefts(): number;
  /** Number of MAC floods: bridges learned more addresses than are read. */
  macFloods(): number;
  /** Registered on this host but not seen, or seen but not registered. */
  guestFindings(): readonly GuestFinding[];
  /** The host's own packet filter drops bridged frames. */
  filterProblems(): readonly FilterProblem[];
  nowMs(): number;
}
