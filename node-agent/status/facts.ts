// The facts about a path from one guest to another for `explain`: plain values, collected at one moment.
import type { AgentNetwork, Binding, GroupAddress, IpAddress, MacAddress } from "../../schema/address/index.ts";
import type { ConditionKind, ConditionText } from "../../schema/agent/index.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import type { LocalVtep, Underlay } from "../kernel/devices/device-fit.ts";
import type { Route } from "../kernel/devices/routes.ts";
import type { TunnelTables } from "../kernel/tables/path-probe.ts";
import type { HeldFact } from "../tables/held-network.ts";
import type { Tracked } from "../watch/connection-tracking.ts";
import type { FilterProblem } from "../watch/host-filter.ts";
import type { InventoryFacts } from "./inventory.ts";
import type { BroadcastReport, ReplicaReport, SessionReport } from "./report.ts";

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
  /** Absent: broadcasts of its guests stay on this host. */
  readonly broadcast?: BroadcastFacts;
  /** Where the second address is a multicast group. */
  readonly group?: GroupFacts;
  readonly kernel: KernelFacts;
  /** What of the host's own filter stops tunnelled packets. */
  readonly tunnelFilters: readonly { readonly says: string; readonly fix: string }[];
  /** Why this network is not ready here, as the agent says in its problems. */
  readonly obstacle?: string;
  /** The registered port of the first address's guest, as the agent judges it. */
  readonly wrongPort?: string;
  readonly guests: GuestFacts;
  /** MACs of guests of this host that may take the addresses, where none may have taken them. */
  readonly takers?: { readonly from: readonly MacAddress[]; readonly to: readonly MacAddress[] };
  /** Of this host and this network on it, those that no other fact here is about. */
  readonly conditions: readonly PresentCondition[];
}

export interface PresentCondition extends ConditionText {
  readonly kind: ConditionKind;
}

export interface BroadcastFacts extends BroadcastReport {
  /** Ports whose broadcasts are beyond the limit. */
  readonly limited: readonly string[];
}

export interface GroupFacts {
  readonly group: GroupAddress;
  /** Ports of this host with a member. */
  readonly ports: readonly string[];
  /** Other hosts with a member. */
  readonly hosts: readonly string[];
  /** Tunnel ends that a frame to its MAC address is copied to; of groups that share the MAC, those of all. */
  readonly destinations: readonly string[];
}

export interface ReplicaFacts extends ReplicaReport {
  /** What it has for the second address. */
  readonly to: Pick<Binding, "mac" | "vtep" | "vtepPort"> | undefined;
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
  readonly underlay: Underlay | undefined;
  /** To the tunnel end of the second address; absent: it is on this host, unknown, or the kernel gave no clear answer. */
  readonly route?: Route;
  readonly bridge: Link | undefined;
  readonly vxlan: Link | undefined;
  /** Other vxlan devices of the same VNI and UDP port. */
  readonly rivals: readonly string[];
  /** Addresses of the host on the vxlan device. */
  readonly vxlanAddresses: readonly IpAddress[];
  /** The guests' ports of the bridge. */
  readonly ports: readonly Link[];
  /** The registered port of the first address's guest, where it is not among them. */
  readonly strayPort?: { readonly name: string; readonly place: "elsewhere" | "free" | "absent" };
  readonly tables: TunnelTables;
  /** Where the bridge has the two MACs; absent if it does not have them, or the MAC is unknown. */
  readonly portOfFrom: MacPort | undefined;
  readonly portOfTo: MacPort | undefined;
  /** Bridged frames go through the host's iptables; undefined if they cannot. */
  readonly bridgeFilter: boolean | undefined;
  /** That may have rules of iptables-legacy, which are not read. */
  readonly legacyFilter: boolean;
  /** Tables of iptables-legacy of the underlay's family, whose rules are not read. */
  readonly legacyTables: readonly string[];
  /** Programs of others on the links that tunnelled packets take. */
  readonly underlayPrograms: readonly UnderlayProgram[];
  /** The host's filter drops bridged frames. */
  readonly filterProblems: readonly FilterProblem[];
  /** Connection tracking; absent: this kernel has none. */
  readonly tracked?: Tracked;
  /** The vxlan device is an adopted one. */
  readonly adopted: boolean;
}

export interface UnderlayProgram {
  /** Name of the link. */
  readonly device: string;
  readonly kind: "xdp" | "filter";
}

export interface MacPort {
  readonly mac: MacAddress;
  /** Name of the link. */
  readonly port: string;
  readonly isTunnel: boolean;
}
