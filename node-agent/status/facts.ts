// The facts about a path from one guest to another for `explain`: plain values, collected at one moment.
import type { AgentNetwork, Binding, IpAddress, MacAddress } from "../../schema/address/index.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";
import type { TunnelTables } from "../kernel/tables/path-probe.ts";
import type { HeldFact } from "../tables/held-network.ts";
import type { FilterProblem } from "../watch/host-filter.ts";
import type { InventoryFacts } from "./inventory.ts";
import type { ReplicaReport, SessionReport } from "./report.ts";

export interface PathFacts {
  /** Of this agent. */
  readonly host: string;
  readonly network: string;
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly session: SessionReport;
  readonly inventory: InventoryFacts;
  /** The network as the controller sent it: absent if it has no VM on this host. */
  readonly told: AgentNetwork | undefined;
  /** This host as the controller sent it. */
  readonly tunnelEnd: LocalVtep | undefined;
  readonly memory: { readonly from: HeldFact | undefined; readonly to: HeldFact | undefined };
  /** The network as a whole in memory; absent: it is on demand. */
  readonly replica?: ReplicaFacts;
  readonly kernel: KernelFacts;
  readonly guests: GuestFacts;
}

export interface ReplicaFacts extends ReplicaReport {
  /** What it has for the second address. */
  readonly to: Pick<Binding, "mac" | "vtep"> | undefined;
}

/** Recent findings about guests of this host. */
export interface GuestFacts {
  /** The finding that another guest of this host uses one of the two addresses, if any. */
  readonly claimedFrom?: string;
  readonly claimedTo?: string;
  /** The exhausted query budget, as text: that of the first address's guest, of its network, or of this host. */
  readonly exhausted?: string;
}

export interface KernelFacts {
  /** The link with the VTEP address. */
  readonly underlay: Link | undefined;
  readonly bridge: Link | undefined;
  readonly vxlan: Link | undefined;
  /** Other vxlan devices of the same VNI and UDP port. */
  readonly rivals: readonly string[];
  /** Addresses of the host on the vxlan device. */
  readonly vxlanAddresses: readonly IpAddress[];
  /** The guests' ports of the bridge. */
  readonly ports: readonly Link[];
  readonly tables: TunnelTables;
  /** Where the bridge has the two MACs; absent if it does not have them, or the MAC is unknown. */
  readonly portOfFrom: MacPort | undefined;
  readonly portOfTo: MacPort | undefined;
  /** Bridged frames go through the host's iptables; undefined if they cannot. */
  readonly bridgeFilter: boolean | undefined;
  /** The host's filter drops bridged frames. */
  readonly filterProblems: readonly FilterProblem[];
  /** The vxlan device is an adopted one. */
  readonly adopted: boolean;
}

export interface MacPort {
  readonly mac: MacAddress;
  /** Name of the link. */
  readonly port: string;
  readonly isTunnel: boolean;
}
