// What the status looks at: the agent's parts, none of which knows that it is looked at.

import type { Revision } from "../../schema/index.ts";
import type { Announcer } from "../announce/announcer.ts";
import type { LinkState } from "../controller-link/link.ts";
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

/** Where this host stands in the controller's log. */
export interface Position {
  readonly link: LinkState;
  /** Absent before the first session. */
  readonly epoch?: string;
  readonly asOf?: Revision;
  /** The kernel holds every change up to here, and the controller has been told so. */
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
  /** Addresses given up because no traffic used them. */
  aged(): number;
  /** Bridge entries that guests' frames had moved to their ports. */
  thefts(): number;
  /** Times that bridges learned more from frames than is read. */
  macFloods(): number;
  /** Registered here and not seen, or seen here and not registered. */
  guestFindings(): readonly GuestFinding[];
  /** The host's own packet filter drops what passes the bridges. */
  filterProblems(): readonly FilterProblem[];
  nowMs(): number;
}
