// VMs and their interfaces: shapes for REST bodies and answers, and the parsed forms behind them.
import { type IpAddress, type MacAddress, parseIp, parseMac } from "../address/index.ts";
import { limits, namePattern } from "../plain/index.ts";
import { type Static, type TSchema, Type } from "../typebox.ts";
import { type AllowedAddress, AllowedAddresses, ownIps, parseAllowed } from "./allowed-address.ts";
import { conditionsField } from "./condition.ts";
import { UdpPort } from "./host.ts";
import { Faults, pointerToken } from "./input.ts";
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
  RevisionNumber,
  type Stored,
  writeNotes,
} from "./metadata.ts";
import { VniNumber } from "./network.ts";

const Mac = Type.String({ description: "Left out: one is assigned", examples: ["52:54:00:00:00:01"] });
const Ips = Type.Array(Type.String({ examples: ["10.20.1.1", "fd00:20::1"] }), {
  maxItems: limits.ipsPerInterface,
  description: "Left out: one address of each address family of the network is assigned. []: none",
});
const Port = Type.String({
  // The subset of the kernel's device names that needs no quoting in any tool's rules.
  pattern: "^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,14}$",
  description: "The host's bridge port (tap or veth) of this interface",
});
const Parent = Type.String({
  pattern: `${namePattern.slice(0, -1)}/${namePattern.slice(1)}`,
  description:
    "Instead of a port: `<vm>/<interface>`, the interface whose port carries this one's frames, because it belongs to a " +
    "guest inside that VM. On the same host, in the same network, and with a port of its own",
  examples: ["web-1/eth0"],
});
const Router = Type.Boolean({ description: "The VM routes: neighbour advertisements keep their router flag" });

const InterfaceInput = Type.Object(
  {
    name: Type.Optional(Name),
    network: Name,
    mac: Type.Optional(Mac),
    ips: Type.Optional(Ips),
    port: Type.Optional(Port),
    parent: Type.Optional(Parent),
    router: Type.Optional(Router),
    allowedAddresses: Type.Optional(AllowedAddresses),
  },
  { ...closed, title: "InterfaceInput" },
);
type InterfaceInput = Static<typeof InterfaceInput>;
const InterfacePatch = Type.Object(
  {
    network: Type.Optional(Name),
    mac: Type.Optional(nullable(Mac)),
    ips: Type.Optional(nullable(Ips)),
    port: Type.Optional(nullable(Port)),
    parent: Type.Optional(nullable(Parent)),
    router: Type.Optional(nullable(Router)),
    allowedAddresses: Type.Optional(nullable(AllowedAddresses)),
  },
  { ...closed, title: "InterfacePatch" },
);
const InterfaceView = Type.Object(
  {
    name: Name,
    network: Name,
    mac: Mac,
    ips: Ips,
    port: Type.Optional(Port),
    parent: Type.Optional(Parent),
    router: Type.Optional(Router),
    allowedAddresses: Type.Optional(AllowedAddresses),
  },
  { ...closed, title: "Interface" },
);

const OwnerNetworks = Type.Array(Name, {
  minItems: 1,
  maxItems: limits.ownerNetworksPerVm,
  uniqueItems: true,
  description:
    "Only of a VM without interfaces: tokens for all of these networks see and change it. Left out: those that it last had " +
    "interfaces in; of a new VM those of the token. Absent: only tokens for all networks",
});

const interfacesOf = <T extends TSchema>(item: T) => Type.Array(item, { maxItems: limits.interfacesPerVm });

const vmInput = {
  host: Name,
  interfaces: interfacesOf(InterfaceInput),
  ownerNetworks: Type.Optional(OwnerNetworks),
  ...metadataInput,
};
const example = { host: "a", interfaces: [{ network: "blue", port: "tap0" }], labels: { tier: "web" } };

/** Body of POST /v1/vms. */
export const VmInput = Type.Object(
  { name: Name, ...vmInput },
  { ...closed, title: "VmInput", examples: [{ name: "web-1", ...example }] },
);
/** Body of PUT /v1/vms/{name}. */
export const VmPutInput = Type.Object(
  { name: Type.Optional(Name), ...vmInput },
  { ...closed, title: "VmPutInput", examples: [example] },
);
export type VmPutInput = Static<typeof VmPutInput>;
/** Body of PATCH /v1/vms/{name}. */
export const VmPatch = Type.Object(
  {
    name: Type.Optional(Name),
    host: Type.Optional(Name),
    interfaces: Type.Optional(
      Type.Union([
        interfacesOf(InterfaceInput),
        Type.Unsafe<Readonly<Record<string, Static<typeof InterfacePatch> | null>>>({
          type: "object",
          additionalProperties: Type.Union([InterfacePatch, Type.Null({ description: "Removes the interface" })]),
          maxProperties: limits.interfacesPerVm,
          description: "By name: those not named stay as they are, new ones are added, null removes one",
        }),
      ]),
    ),
    ownerNetworks: Type.Optional(OwnerNetworks),
    ...metadataPatch,
  },
  { ...closed, title: "VmPatch", examples: [{ interfaces: { eth1: { port: "tap7" } } }, { host: "b" }] },
);
export type VmPatch = Static<typeof VmPatch>;
export const VmView = Type.Object(
  {
    name: Name,
    host: Name,
    preparedHost: Type.Optional({
      ...Name,
      description: "A live migration to this host is in progress: it already has the VM's networks",
    }),
    hostConnected: Type.Boolean({ description: "An agent of the host is connected" }),
    ...conditionsField,
    interfaces: interfacesOf(InterfaceView),
    ownerNetworks: Type.Optional(OwnerNetworks),
    ...metadataView,
    ...writeNotes,
    ready: Type.Optional(Type.Boolean({ description: "Only with ?wait=ready: the host has the bridges of this VM" })),
    notReady: Type.Optional(
      Type.String({ description: "Only with ready: false. The reason; the change itself is done" }),
    ),
  },
  {
    ...closed,
    title: "Vm",
    examples: [
      {
        name: "web-1",
        uid: "6e64cf60-f9d6-484c-810c-01fdbb105c1d",
        host: "a",
        hostConnected: true,
        interfaces: [
          {
            name: "eth0",
            network: "blue",
            mac: "52:54:00:00:00:01",
            ips: ["10.20.1.2", "fd00:20::2"],
            port: "tap0",
          },
        ],
        labels: { tier: "web" },
        description: "",
        revision: 5,
      },
    ],
  },
);
export type VmView = Static<typeof VmView>;

/** Answer of GET /v1/resolve. */
export const ResolveView = Type.Object(
  {
    vni: VniNumber,
    ip: Type.Optional(Type.String({ description: "Only if the question was an IP address" })),
    mac: Type.String(),
    vtep: Type.String(),
    port: UdpPort,
    host: Name,
    vm: Name,
    revision: RevisionNumber,
  },
  { ...closed, title: "Resolution" },
);

/** Parsed, checked by itself, canonical. The inventory decides on it and the store keeps it. */
export interface InterfaceSpec {
  readonly name: string;
  readonly network: string;
  readonly mac: MacAddress;
  readonly ips: readonly IpAddress[];
  /** Of the host's devices: one interface on a host has it. */
  readonly port?: string;
  /** Instead of `port`: the interface, in the form of `interfaceKey`, through whose port this one's frames pass. */
  readonly parent?: string;
  readonly router?: boolean;
  /** Not empty. Those of them that it has at present are among `ips`. */
  readonly allowedAddresses?: readonly AllowedAddress[];
}
export interface VmSpec extends Metadata {
  readonly name: string;
  readonly host: string;
  /** A live migration to this host is in progress. */
  readonly preparedHost?: string;
  readonly interfaces: readonly InterfaceSpec[];
  /**
   * In order, and only of a VM without interfaces: the networks that it last had some in, or that it was given to. Absent: it
   * belongs to no network.
   */
  readonly ownerNetworks?: readonly string[];
}
export type Vm = VmSpec & Stored;

/** An interface as requested: the inventory assigns absent addresses. */
export type InterfaceRequest = Omit<InterfaceSpec, "mac" | "ips"> & Partial<Pick<InterfaceSpec, "mac" | "ips">>;
export interface VmRequest extends Omit<VmSpec, "interfaces" | "preparedHost"> {
  readonly interfaces: readonly InterfaceRequest[];
}

/** @throws InputError */
export function parseVm(name: string, input: VmPutInput): VmRequest {
  const faults = new Faults();
  faults.sameName(name, input.name);
  const interfaces = parseInterfaces(input.interfaces, (i) => `/interfaces/${i}`, faults);
  const owners = parseOwners(input, faults);
  const metadata = parseMetadata(input, faults);
  faults.throwIfAny();
  return { name, host: input.host, interfaces, ...owners, ...metadata };
}

/**
 * The VM after the patch (RFC 7396). For the patch, interfaces are an object by name, so that one can be changed alone;
 * an array replaces them all. A MAC or IPs that are set to null are assigned anew.
 * @throws InputError about the resulting VM
 */
export function patchVm(
  { uid, revision, preparedHost, interfaces, ownerNetworks: _, ...spec }: Vm,
  patch: VmPatch,
): VmRequest {
  const { interfaces: changes = {}, ...rest } = patch;
  const merged = mergePatch(spec, rest) as Omit<VmPutInput, "interfaces">;
  if (Array.isArray(changes)) return parseVm(spec.name, { ...merged, interfaces: [...changes] });
  const faults = new Faults();
  faults.sameName(spec.name, merged.name);
  for (const name of Object.keys(changes)) {
    if (!new RegExp(namePattern).test(name)) faults.add(pointerOf(name), `"${name}" is not a valid interface name`);
  }
  const byName = Object.fromEntries(interfaces.map(({ name, ...each }) => [name, { ...each, ips: ownIps(each) }]));
  const list = Object.entries(mergePatch(byName, changes) as Record<string, Partial<InterfaceRequest>>);
  if (list.length > limits.interfacesPerVm) {
    faults.add("/interfaces", `${list.length} interfaces are too many: a VM has at most ${limits.interfacesPerVm}`);
  }
  // Integer-like keys of an object come first, regardless of their order in the text.
  const place = (name: string) => interfaces.findIndex((each) => each.name === name) >>> 0;
  list.sort(([a], [b]) => place(a) - place(b));
  const wanted = list.map(([name, { network = "", ips, allowedAddresses, ...each }]): InterfaceInput => {
    if (!network) faults.add(`${pointerOf(name)}/network`, "is required: the VM has no such interface yet");
    const allowed = allowedAddresses ? { allowedAddresses: [...allowedAddresses] } : {};
    return { ...each, ...(ips ? { ips: [...ips] } : {}), ...allowed, name, network };
  });
  const parsed = parseInterfaces(wanted, (i) => pointerOf(list[i]?.[0] ?? ""), faults);
  const owners = parseOwners({ ...merged, interfaces: wanted }, faults);
  const metadata = parseMetadata(merged, faults);
  faults.throwIfAny();
  return { name: spec.name, host: merged.host, interfaces: parsed, ...owners, ...metadata };
}

function parseOwners(
  { interfaces, ownerNetworks }: Pick<VmPutInput, "interfaces" | "ownerNetworks">,
  faults: Faults,
): Pick<VmRequest, "ownerNetworks"> {
  if (!ownerNetworks) return {};
  if (interfaces.length > 0) {
    faults.add(
      "/ownerNetworks",
      "is only for a VM without interfaces: this one belongs to the networks of its interfaces",
    );
  }
  return { ownerNetworks: [...ownerNetworks].sort() };
}

const pointerOf = (name: string) => `/interfaces/${pointerToken(name)}`;

/** Interfaces without a name get eth0, eth1, … by their position. */
function parseInterfaces(
  inputs: readonly InterfaceInput[],
  pointer: (index: number) => string,
  faults: Faults,
): InterfaceRequest[] {
  const interfaces = inputs.map((given, i) => parseInterface(given, i, pointer(i), faults));
  const names = interfaces.map((each) => each.name);
  names.forEach((each, i) => {
    if (names.indexOf(each) !== i) faults.add(`${pointer(i)}/name`, `"${each}" is used twice in this VM`);
  });
  return interfaces;
}

function parseInterface(
  { name, network, mac, ips, port, parent, router, allowedAddresses }: InterfaceInput,
  index: number,
  pointer: string,
  faults: Faults,
): InterfaceRequest {
  const parsedMac = mac === undefined ? undefined : faults.at(`${pointer}/mac`, () => parseMac(mac));
  const parsedIps = ips?.flatMap((ip, j) => faults.at(`${pointer}/ips/${j}`, () => parseIp(ip)) ?? []);
  parsedIps?.forEach((ip, j) => {
    if (parsedIps.indexOf(ip) !== j) faults.add(`${pointer}/ips`, `${ip} is listed twice`);
  });
  const reserved = port === undefined ? undefined : findReservedPort(port);
  if (reserved !== undefined) faults.add(`${pointer}/port`, `"${port}" ${reserved}: name the tap or veth of the guest`);
  if (port !== undefined && parent !== undefined) {
    faults.add(
      `${pointer}/parent`,
      "cannot be combined with port: a nested guest uses the port of its parent. Leave one of them out",
    );
  }
  return {
    name: name ?? `eth${index}`,
    network,
    ...(parsedMac ? { mac: parsedMac } : {}),
    ...(parsedIps ? { ips: parsedIps } : {}),
    ...(port === undefined ? {} : { port }),
    ...(parent === undefined ? {} : { parent }),
    ...(router ? { router: true } : {}),
    ...parseAllowed({ allowedAddresses, ips, port, parent }, pointer, faults),
  };
}

/** As `parent` names an interface. */
export function interfaceKey(vm: string, name: string): string {
  return `${vm}/${name}`;
}

/**
 * Why the name cannot be a guest's port on any host, or undefined. The kernel makes no device named as one of its directories
 * of settings (sysctl_dev_name_is_allowed() in include/linux/inetdevice.h).
 */
function findReservedPort(port: string): string | undefined {
  if (/^nm[bv]\d+$/.test(port)) return "is a device of the agent";
  if (port === "lo") return "is the host's loopback device";
  return port === "all" || port === "default" ? "is not a name that the kernel gives to a device" : undefined;
}
