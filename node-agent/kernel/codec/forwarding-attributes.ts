// Attributes of bridges and their ports that decide whether frames are forwarded, with the values that they must have. What the agent
// sets, what it restores, what it reports and docs/kernel.md follow from these tables. Numbers are those of include/uapi/linux/if_link.h.
import { type Attributes, attribute, readU16, readU32, u8, u16, u32 } from "./netlink-codec.ts";
import { bridgeGroupForward, portGroupForward } from "./reserved-groups.ts";

export interface ForwardingAttribute {
  /** As iproute2 names it (`ip link set … type bridge …`, `bridge link set …`). */
  readonly name: string;
  readonly type: number;
  readonly bytes: 1 | 2 | 4;
  readonly wanted: number;
  /** A new device has it, so it is set only where it differs: not every kernel takes it. */
  readonly isDefault?: true;
  /** Default: the wanted value alone. */
  readonly isRight?: (value: number) => boolean;
  /** Of its values, as iproute2 has them. */
  readonly words?: readonly string[];
  /** What happens with another value. */
  readonly otherwise: string;
}

/** Twice the VMs that a host may have (`vmsPerHost`): a full bridge learns no new address, and floods frames for it. */
export const maxLearnedPerBridge = 8_192;

/** In hundredths of a second: the kernel's default, 300 s. */
const ageingTime = 30_000;

/** Of the agent's bridges. */
export const bridgeAttributes: readonly ForwardingAttribute[] = [
  {
    name: "mcast_snooping",
    type: 23,
    bytes: 1,
    wanted: 0,
    otherwise: "after one MLD query of a guest, neighbour solicitations no longer reach the tunnel",
  },
  { name: "stp_state", type: 5, bytes: 4, wanted: 0, otherwise: "a new port is silent for 30 s" },
  {
    name: "vlan_filtering",
    type: 7,
    bytes: 1,
    wanted: 0,
    isDefault: true,
    otherwise: "frames are lost where the VLANs of two ports differ",
  },
  {
    name: "ageing_time",
    type: 4,
    bytes: 4,
    wanted: ageingTime,
    isDefault: true,
    isRight: (value) => value > 0,
    otherwise: "with 0 every frame between guests of this host is flooded to all of them",
  },
  {
    name: "group_fwd_mask",
    type: 9,
    bytes: 2,
    wanted: bridgeGroupForward,
    otherwise: "guests can send to the host",
  },
  {
    name: "fdb_max_learned",
    type: 49,
    bytes: 4,
    wanted: maxLearnedPerBridge,
    otherwise: "a guest fills the kernel's memory (Linux 6.8)",
  },
];

const forwarding = 3;

/** Of the tunnel, and of guests' ports, as ports of a bridge. */
const portState: ForwardingAttribute = {
  name: "state",
  type: 1,
  bytes: 1,
  wanted: forwarding,
  words: ["disabled", "listening", "learning", "forwarding", "blocking"],
  otherwise: "nothing passes the port",
};
const deliversTo: readonly ForwardingAttribute[] = [
  { name: "bcast_flood", type: 30, bytes: 1, wanted: 1, otherwise: "ARP requests do not reach it" },
  { name: "mcast_flood", type: 27, bytes: 1, wanted: 1, otherwise: "neighbour solicitations do not reach it" },
  {
    name: "locked",
    type: 39,
    bytes: 1,
    wanted: 0,
    otherwise: "frames from it are dropped unless its bridge has an entry",
  },
];

/** What the tunnel's port must be, as the agent sets it. */
export const tunnelPortAttributes: readonly ForwardingAttribute[] = [
  portState,
  { name: "learning", type: 8, bytes: 1, wanted: 0, otherwise: "one injected frame moves a local guest's MAC here" },
  { name: "flood", type: 9, bytes: 1, wanted: 1, otherwise: "no l2miss for frames to unknown addresses" },
  ...deliversTo,
  { name: "isolated", type: 33, bytes: 1, wanted: 0, otherwise: "nothing passes between it and isolated guests" },
  { name: "hairpin", type: 4, bytes: 1, wanted: 0, otherwise: "broadcasts from the tunnel return into it" },
  { name: "proxy_arp", type: 10, bytes: 1, wanted: 0, otherwise: "nothing is flooded into it, so no miss occurs" },
  {
    name: "proxy_arp_wifi",
    type: 12,
    bytes: 1,
    wanted: 0,
    otherwise: "ARP requests that the bridge answers cause no miss",
  },
  {
    name: "neigh_suppress",
    type: 32,
    bytes: 1,
    wanted: 0,
    otherwise: "questions that the bridge answers cause no miss",
  },
];

/** What a guest's port must be; its owner sets it, so the agent reports what differs. */
export const guestPortAttributes: readonly ForwardingAttribute[] = [
  portState,
  ...deliversTo,
  { name: "proxy_arp", type: 10, bytes: 1, wanted: 0, otherwise: "nothing is flooded to it" },
];

/** What the agent sets on each port of its bridges, see reserved-groups.ts. */
export const closedPort: ForwardingAttribute = {
  name: "group_fwd_mask",
  type: 31,
  bytes: 2,
  wanted: portGroupForward,
  otherwise: "its guest can send to the host",
};

/** A value that differs from the wanted one. */
export interface WrongAttribute {
  readonly attribute: ForwardingAttribute;
  readonly value: number;
}

/** Those of the kernel's message that differ. An attribute that this kernel does not know is not among them. */
export function findWrong(rows: readonly ForwardingAttribute[], message: Attributes): WrongAttribute[] {
  return rows.flatMap((row) => {
    const value = readValue(row, message.get(row.type));
    if (value === undefined || (row.isRight?.(value) ?? value === row.wanted)) return [];
    return [{ attribute: row, value }];
  });
}

export function encodeWanted({ type, bytes, wanted }: ForwardingAttribute): Buffer {
  return attribute(type, bytes === 1 ? u8(wanted) : bytes === 2 ? u16(wanted) : u32(wanted));
}

function readValue({ bytes }: ForwardingAttribute, value: Buffer | undefined): number | undefined {
  return bytes === 1 ? value?.[0] : bytes === 2 ? readU16(value) : readU32(value);
}
