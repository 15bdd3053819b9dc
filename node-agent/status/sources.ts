// Sources of the status: the agent's parts, which do not depend on this file.

import type { Revision } from "../../schema/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import type { LinkStatus } from "../controller-link/link-state.ts";
import type { ControllerReader } from "../identity/read.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import type { RequestSocket } from "../kernel/sockets/request-socket.ts";
import type { KernelTables } from "../kernel/tables/kernel-tables.ts";
import type { RecentMisses } from "../misses/recent.ts";
import type { MissResolver } from "../misses/resolver.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { HostPorts } from "../networks/host-ports.ts";
import type { Reporter } from "../reports/reporter.ts";
import type { HeldAnswers } from "../tables/held.ts";
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

export interface StatusSources {
  readonly host: string;
  readonly controller: URL;
  readonly readController: ControllerReader;
  readonly requests: RequestSocket;
  readonly devices: NetworkDevices;
  readonly tables: KernelTables;
  readonly networks: HostNetworks;
  readonly ports: HostPorts;
  readonly held: HeldAnswers;
  readonly resolver: MissResolver;
  /** Absent with `--announce off`. */
  readonly announcer: Announcer | undefined;
  readonly recent: RecentMisses;
  readonly reporter: Reporter;
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
