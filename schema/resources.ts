// The resources that operators write and read: shapes for REST bodies and answers, and the parsed forms behind them.
// The TypeBox shapes check form (and feed OpenAPI); `parse…` checks what each address means by itself.
// What needs to know other resources (conflicts, references) is the inventory's.
import { type Static, Type } from "typebox";
import {
  AddressError,
  type IpAddress,
  type MacAddress,
  parseIp,
  parseMac,
  parseSubnet,
  parseVni,
  parseVtep,
  type Revision,
  type Subnet,
  subnetFamily,
  subnetsOverlap,
  type Vni,
  type VtepAddress,
} from "./address.ts";

const closed = { additionalProperties: false } as const;

export const namePattern = "^[A-Za-z0-9._-]{1,63}$";
export const defaultVtepPort = 4789;
export const defaultMtu = 1450;
/** RFC 8200 §5: a link that carries IPv6 needs it; the kernel drops a device's IPv6 neighbours below. */
export const minIpv6Mtu = 1280;
export const limits = {
  subnetsPerNetwork: 16,
  interfacesPerVm: 32,
  ipsPerInterface: 64,
} as const;

export const Name = Type.String({
  pattern: namePattern,
  description: "1 … 63 of letters, digits, '.', '_', '-'. Immutable.",
});

const Mtu = Type.Integer({
  minimum: 576,
  maximum: 65_485,
  description: "MTU of the guests, bytes. Must fit into the underlay's: 50 less over IPv4, 70 less over IPv6.",
});
const UdpPort = Type.Integer({ minimum: 1, maximum: 65_535, description: "UDP port of the VTEP" });
const RevisionNumber = Type.Integer({ minimum: 0, description: "Position of the last change in the log" });
const Uid = Type.String({ description: "Differs when a name is deleted and created again" });

const networkFields = {
  vni: Type.Integer({ description: "VXLAN network identifier, 1 … 16777215", examples: [100] }),
  subnets: Type.Array(Type.String({ examples: ["10.20.1.0/24", "fd00:20::/64"] }), {
    minItems: 1,
    maxItems: limits.subnetsPerNetwork,
  }),
};

/** Body of PUT /v1/networks/{name}. */
export const NetworkInput = Type.Object(
  { name: Type.Optional(Name), ...networkFields, mtu: Type.Optional(Mtu) },
  { ...closed, title: "NetworkInput" },
);
export type NetworkInput = Static<typeof NetworkInput>;
export const NetworkView = Type.Object(
  { name: Name, uid: Uid, ...networkFields, mtu: Mtu, revision: RevisionNumber },
  { ...closed, title: "Network" },
);

const vtepExamples = { examples: ["192.0.2.1", "2001:db8::1"] };

/** Body of PUT /v1/hosts/{name}. */
export const HostInput = Type.Object(
  {
    name: Type.Optional(Name),
    vtep: Type.String({ description: "Underlay address of the host's tunnel end", ...vtepExamples }),
    port: Type.Optional(UdpPort),
  },
  { ...closed, title: "HostInput" },
);
export type HostInput = Static<typeof HostInput>;
export const HostView = Type.Object(
  {
    name: Name,
    uid: Uid,
    vtep: Type.String(vtepExamples),
    port: UdpPort,
    origin: Type.Union([Type.Literal("operator"), Type.Literal("agent")], {
      description: "Who registered the host. What an operator set, an agent cannot change.",
    }),
    revision: RevisionNumber,
    connected: Type.Boolean(),
    lastSeen: Type.Union([Type.String({ format: "date-time" }), Type.Null()], {
      description: "Last frame from the agent since the controller started",
    }),
    appliedRevision: Type.Union([RevisionNumber, Type.Null()], {
      description: "The host's kernel holds every change up to here that concerns it",
    }),
    problems: Type.Array(Type.String(), { description: "What the agent reported and an operator should mend" }),
  },
  { ...closed, title: "Host" },
);

const interfaceFields = {
  network: Name,
  mac: Type.String({ examples: ["52:54:00:00:00:01"] }),
  ips: Type.Array(Type.String({ examples: ["10.20.1.1", "fd00:20::1"] }), { maxItems: limits.ipsPerInterface }),
  port: Type.Optional(
    Type.String({
      pattern: "^[^\\s/]{1,15}$",
      description: "The host's bridge port (tap or veth) of this interface",
    }),
  ),
  router: Type.Optional(
    Type.Boolean({ description: "The VM routes: neighbour advertisements keep their router flag" }),
  ),
};

const InterfaceInput = Type.Object(
  { name: Type.Optional(Name), ...interfaceFields },
  { ...closed, title: "InterfaceInput" },
);
const InterfaceView = Type.Object({ name: Name, ...interfaceFields }, { ...closed, title: "Interface" });

const interfacesOf = <T extends Type.TSchema>(item: T) => Type.Array(item, { maxItems: limits.interfacesPerVm });

/** Body of POST /v1/vms. */
export const VmInput = Type.Object(
  { name: Name, host: Name, interfaces: interfacesOf(InterfaceInput) },
  { ...closed, title: "VmInput" },
);
export type VmInput = Static<typeof VmInput>;
/** Body of PUT /v1/vms/{name}. */
export const VmPutInput = Type.Object(
  { name: Type.Optional(Name), host: Name, interfaces: interfacesOf(InterfaceInput) },
  { ...closed, title: "VmPutInput" },
);
/** Body of PATCH /v1/vms/{name}: JSON Merge Patch (RFC 7396), where an array is replaced whole. */
export const VmPatch = Type.Object(
  { name: Type.Optional(Name), host: Type.Optional(Name), interfaces: Type.Optional(interfacesOf(InterfaceInput)) },
  { ...closed, title: "VmPatch" },
);
export type VmPatch = Static<typeof VmPatch>;
export const VmView = Type.Object(
  {
    name: Name,
    uid: Uid,
    host: Name,
    hostConnected: Type.Boolean(),
    interfaces: interfacesOf(InterfaceView),
    revision: RevisionNumber,
    ready: Type.Optional(Type.Boolean({ description: "Only with ?wait=ready: the host has the bridges of this VM" })),
    notReady: Type.Optional(Type.String({ description: "Only with ready: false. Why; the change itself is done" })),
  },
  { ...closed, title: "Vm" },
);

/** Answer of GET /v1/resolve. */
export const ResolveView = Type.Object(
  {
    vni: networkFields.vni,
    ip: Type.Optional(Type.String({ description: "Where the question was an IP address" })),
    mac: Type.String(),
    vtep: Type.String(),
    port: UdpPort,
    host: Name,
    vm: Name,
    revision: RevisionNumber,
  },
  { ...closed, title: "Resolution" },
);

/** Parsed, checked by itself, canonical. What the inventory decides on and the store keeps. */
export interface NetworkSpec {
  readonly name: string;
  readonly vni: Vni;
  readonly subnets: readonly Subnet[];
  readonly mtu: number;
}
export interface HostSpec {
  readonly name: string;
  readonly vtep: VtepAddress;
  readonly port: number;
  readonly origin: "operator" | "agent";
}
export interface InterfaceSpec {
  readonly name: string;
  readonly network: string;
  readonly mac: MacAddress;
  readonly ips: readonly IpAddress[];
  readonly port?: string;
  readonly router?: boolean;
}
export interface VmSpec {
  readonly name: string;
  readonly host: string;
  readonly interfaces: readonly InterfaceSpec[];
}

interface Stored {
  readonly uid: string;
  /** Revision of the last change of this resource. */
  readonly revision: Revision;
}
export type Network = NetworkSpec & Stored;
export type Host = HostSpec & Stored;
export type Vm = VmSpec & Stored;

/** One fault in a body: a JSON Pointer (RFC 6901) and what to do about it. */
export interface InputFault {
  readonly pointer: string;
  readonly detail: string;
}

/** All that is wrong with a body, at once. */
export class InputError extends Error {
  override readonly name = "InputError";
  constructor(readonly faults: readonly InputFault[]) {
    super(faults.map((fault) => `${fault.pointer || "body"}: ${fault.detail}`).join("; "));
  }
}

/** Collects the faults of a body, so that its writer hears of all of them in one answer. */
class Faults {
  readonly list: InputFault[] = [];

  add(pointer: string, detail: string): undefined {
    this.list.push({ pointer, detail });
  }

  /** The parsed value, or undefined with the fault noted. */
  at<T>(pointer: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      return this.add(pointer, error.message);
    }
  }

  sameName(path: string, body: string | undefined): void {
    if (body !== undefined && body !== path)
      this.add("/name", `"${body}" differs from "${path}" in the path: names are immutable`);
  }

  throwIfAny(): void {
    if (this.list.length > 0) throw new InputError(this.list);
  }
}

/** @throws InputError */
export function parseNetwork(name: string, input: NetworkInput): NetworkSpec {
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
  faults.throwIfAny();
  return { name, vni: vni as Vni, subnets, mtu };
}

/** @throws InputError */
export function parseHost(name: string, input: HostInput, origin: HostSpec["origin"]): HostSpec {
  const faults = new Faults();
  faults.sameName(name, input.name);
  const vtep = faults.at("/vtep", () => parseVtep(input.vtep));
  faults.throwIfAny();
  return { name, vtep: vtep as VtepAddress, port: input.port ?? defaultVtepPort, origin };
}

/** @throws InputError */
export function parseVm(name: string, input: Omit<VmInput, "name"> & { name?: string }): VmSpec {
  const faults = new Faults();
  faults.sameName(name, input.name);
  const interfaces = parseInterfaces(input.interfaces, faults);
  faults.throwIfAny();
  return { name, host: input.host, interfaces };
}

/** What a merge patch sets; absent fields stay as they are. @throws InputError */
export function parseVmPatch(name: string, patch: VmPatch): Partial<Pick<VmSpec, "host" | "interfaces">> {
  const faults = new Faults();
  faults.sameName(name, patch.name);
  const interfaces = patch.interfaces && parseInterfaces(patch.interfaces, faults);
  faults.throwIfAny();
  return { ...(patch.host === undefined ? {} : { host: patch.host }), ...(interfaces ? { interfaces } : {}) };
}

/** Interfaces without a name get eth0, eth1, … by their position. */
function parseInterfaces(inputs: VmInput["interfaces"], faults: Faults): InterfaceSpec[] {
  const interfaces = inputs.map((given, i): InterfaceSpec => {
    const mac = faults.at(`/interfaces/${i}/mac`, () => parseMac(given.mac));
    const ips = given.ips.flatMap((ip, j) => faults.at(`/interfaces/${i}/ips/${j}`, () => parseIp(ip)) ?? []);
    ips.forEach((ip, j) => {
      if (ips.indexOf(ip) !== j) faults.add(`/interfaces/${i}/ips`, `${ip} is listed twice`);
    });
    return {
      name: given.name ?? `eth${i}`,
      network: given.network,
      mac: mac as MacAddress,
      ips,
      ...(given.port === undefined ? {} : { port: given.port }),
      ...(given.router ? { router: true } : {}),
    };
  });
  const names = interfaces.map((each) => each.name);
  names.forEach((each, i) => {
    if (names.indexOf(each) !== i) faults.add(`/interfaces/${i}/name`, `"${each}" is used twice in this VM`);
  });
  return interfaces;
}
