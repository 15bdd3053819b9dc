// Networks: shapes for REST bodies and answers, and the parsed form behind them.
import {
  type AddressRange,
  type IpAddress,
  parseIp,
  parseRange,
  parseSubnet,
  parseVni,
  rangeEnds,
  type Subnet,
  subnetContains,
  subnetFamily,
  subnetsOverlap,
  type Vni,
} from "../address/index.ts";
import {
  type BroadcastMode,
  broadcastModes,
  hostKnowledgeModes,
  type KnowledgeChoice,
  type KnowledgeMode,
  knowledgeModes,
  limits,
  minIpv6Mtu,
} from "../plain/index.ts";
import { type Static, Type } from "../typebox.ts";
import { conditionsField } from "./condition.ts";
import { Faults } from "./input.ts";
import { mergePatch } from "./merge-patch.ts";
import {
  closed,
  type Metadata,
  metadataInput,
  metadataPatch,
  metadataView,
  Name,
  nullable,
  parseMetadata,
  type Stored,
  writeNotes,
} from "./metadata.ts";

export const defaultMtu = 1450;
/** How long a released address is not given to another VM, where the network does not say, s. */
export const defaultQuarantineSeconds = 300;

const Mtu = Type.Integer({
  minimum: 576,
  maximum: 65_485,
  description: `MTU of the guests, bytes; default ${defaultMtu}. Must fit into the underlay's: 50 less over IPv4, 70 less over IPv6.`,
});
export const VniNumber = Type.Integer({ description: "VXLAN network identifier, 1 … 16777215", examples: [100] });
const Subnets = Type.Array(Type.String({ examples: ["10.20.1.0/24", "fd00:20::/64"] }), {
  minItems: 1,
  maxItems: limits.subnetsPerNetwork,
});
const Gateways = Type.Array(Type.String({ examples: ["10.20.1.1"] }), {
  maxItems: limits.gatewaysPerNetwork,
  description:
    "Addresses of gateways, which are never assigned automatically. Absent: the first host address of each subnet",
});
const Reserved = Type.Array(Type.String({ examples: ["10.20.1.200-10.20.1.254", "10.20.1.16/28", "10.20.1.9"] }), {
  maxItems: limits.reservedRangesPerNetwork,
  description: "Ranges that are never assigned automatically. A VM may still name an address in them",
});
const QuarantineSeconds = Type.Integer({
  minimum: 0,
  maximum: limits.quarantineSeconds,
  description: `How long a released address is not assigned again, s; default ${defaultQuarantineSeconds}`,
});
const Knowledge = Type.Enum([...knowledgeModes], {
  description:
    "What a host has of the network before its guests ask. `on-demand` (default): what they asked for. `replicate`: every address, in the " +
    "agent's memory, so that no first packet waits for the controller. `prefetch`: every address in memory and in the kernel. `auto`: the " +
    "controller chooses by the network's size, hosts and changes: see `knowledgeChosen`",
});
const KnowledgeChosen = Type.Object(
  {
    mode: Type.Enum([...hostKnowledgeModes], { description: "What hosts have now" }),
    addresses: Type.Optional(Type.Integer({ description: "IP addresses in the network at the choice" })),
    hosts: Type.Optional(Type.Integer({ description: "Hosts with a VM in the network at the choice" })),
    changesPerMinute: Type.Optional(
      Type.Integer({ description: "Changed addresses and MACs a minute at the choice, on average over some minutes" }),
    ),
  },
  { ...closed, description: "With `knowledge: auto`, what the controller has chosen, and why. Not written by clients" },
);

const KnowledgePatch = Type.Unsafe<KnowledgeMode | null>({
  ...Knowledge,
  enum: [...knowledgeModes, null],
});

const Broadcast = Type.Enum([...broadcastModes], {
  description:
    "What becomes of IPv4 broadcasts and of multicasts of the guests. `off` (default): they stay on their host. `replicate`: the host of the sender sends a " +
    "copy to every other host with a VM in the network, of a multicast to those with a member of its group. ARP is answered in both; DHCP, IGMP and " +
    "MLD are never copied",
});
const BroadcastPatch = Type.Unsafe<BroadcastMode | null>({
  ...Broadcast,
  enum: [...broadcastModes, null],
});

const networkInput = {
  vni: VniNumber,
  subnets: Subnets,
  mtu: Type.Optional(Mtu),
  gateways: Type.Optional(Gateways),
  reserved: Type.Optional(Reserved),
  quarantineSeconds: Type.Optional(QuarantineSeconds),
  knowledge: Type.Optional(Knowledge),
  broadcast: Type.Optional(Broadcast),
  ...metadataInput,
};
const example = { vni: 100, subnets: ["10.20.1.0/24", "fd00:20::/64"], mtu: 1450, labels: { env: "prod" } };

/** Body of POST /v1/networks. */
export const NetworkInput = Type.Object(
  { name: Name, ...networkInput },
  { ...closed, title: "NetworkInput", examples: [{ name: "blue", ...example }] },
);
/** Body of PUT /v1/networks/{name}. */
export const NetworkPutInput = Type.Object(
  { name: Type.Optional(Name), ...networkInput },
  { ...closed, title: "NetworkPutInput", examples: [example] },
);
export type NetworkPutInput = Static<typeof NetworkPutInput>;
/** Body of PATCH /v1/networks/{name}. */
export const NetworkPatch = Type.Object(
  {
    name: Type.Optional(Name),
    vni: Type.Optional(VniNumber),
    subnets: Type.Optional(Subnets),
    mtu: Type.Optional(nullable(Mtu)),
    gateways: Type.Optional(nullable(Gateways)),
    reserved: Type.Optional(nullable(Reserved)),
    quarantineSeconds: Type.Optional(nullable(QuarantineSeconds)),
    knowledge: Type.Optional(KnowledgePatch),
    broadcast: Type.Optional(BroadcastPatch),
    ...metadataPatch,
  },
  { ...closed, title: "NetworkPatch", examples: [{ mtu: 8950, labels: { env: null } }] },
);
export type NetworkPatch = Static<typeof NetworkPatch>;
export const NetworkView = Type.Object(
  {
    name: Name,
    ...networkInput,
    mtu: Mtu,
    ...conditionsField,
    knowledgeChosen: Type.Optional(KnowledgeChosen),
    ...metadataView,
    ...writeNotes,
  },
  {
    ...closed,
    title: "Network",
    examples: [{ name: "blue", uid: "ae298bfe-5a19-4167-9e57-0576b0da9513", ...example, description: "", revision: 3 }],
  },
);
export type NetworkView = Static<typeof NetworkView>;

/** Parsed, checked by itself, canonical. The inventory decides on it and the store keeps it. */
export interface NetworkSpec extends Metadata {
  readonly name: string;
  readonly vni: Vni;
  readonly subnets: readonly Subnet[];
  readonly mtu: number;
  readonly gateways?: readonly IpAddress[];
  readonly reserved?: readonly AddressRange[];
  readonly quarantineSeconds?: number;
  /** Absent: on demand. */
  readonly knowledge?: KnowledgeMode;
  /** Absent: off. */
  readonly broadcast?: BroadcastMode;
  /** Set by the controller, with `auto` only. */
  readonly knowledgeChosen?: KnowledgeChoice;
}
export type Network = NetworkSpec & Stored;

/** @throws InputError */
export function parseNetwork(name: string, input: NetworkPutInput): NetworkSpec {
  const faults = new Faults();
  faults.sameName(name, input.name);
  const vni = faults.at("/vni", () => parseVni(input.vni));
  const subnets = input.subnets.flatMap((text, i) => faults.at(`/subnets/${i}`, () => parseSubnet(text)) ?? []);
  subnets.forEach((subnet, i) => {
    const other = subnets.slice(0, i).find((earlier) => subnetsOverlap(earlier, subnet));
    if (other) faults.add("/subnets", `${subnet} overlaps ${other}`);
  });
  const mtu = input.mtu ?? defaultMtu;
  if (mtu < minIpv6Mtu && subnets.some((subnet) => subnetFamily(subnet) === 6)) {
    faults.add("/mtu", `a network with an IPv6 subnet needs an MTU of at least ${minIpv6Mtu}`);
  }
  const pool = parsePool(input, subnets, faults);
  const metadata = parseMetadata(input, faults);
  faults.throwIfAny();
  const { knowledge, broadcast } = input;
  const modes = { ...(knowledge ? { knowledge } : {}), ...(broadcast ? { broadcast } : {}) };
  return { name, vni: vni as Vni, subnets, mtu, ...pool, ...modes, ...metadata };
}

/** The parameters of address assignment. An absent field stays absent: it means a default. */
function parsePool(
  input: NetworkPutInput,
  subnets: readonly Subnet[],
  faults: Faults,
): Pick<NetworkSpec, "gateways" | "reserved" | "quarantineSeconds"> {
  const within = (pointer: string, text: string, ...ends: readonly IpAddress[]) => {
    if (subnets.some((subnet) => ends.every((ip) => subnetContains(subnet, ip)))) return;
    faults.add(pointer, `${text} is not in any of the network's subnets (${subnets.join(", ")})`);
  };
  const gateways = input.gateways?.flatMap((text, i) => {
    const ip = faults.at(`/gateways/${i}`, () => parseIp(text));
    if (ip) within(`/gateways/${i}`, ip, ip);
    return ip ?? [];
  });
  const reserved = input.reserved?.flatMap((text, i) => {
    const range = faults.at(`/reserved/${i}`, () => parseRange(text));
    if (range) within(`/reserved/${i}`, range, ...rangeEnds(range));
    return range ?? [];
  });
  const { quarantineSeconds } = input;
  return {
    ...(gateways ? { gateways } : {}),
    ...(reserved ? { reserved } : {}),
    ...(quarantineSeconds === undefined ? {} : { quarantineSeconds }),
  };
}

/** @throws InputError about the resulting network */
export function patchNetwork({ uid, revision, knowledgeChosen, ...spec }: Network, patch: NetworkPatch): NetworkSpec {
  return parseNetwork(spec.name, mergePatch(spec, patch) as NetworkPutInput);
}
