// What the controller has registered about a path, over its REST API. Fields that this build does not know are ignored.
import { defined } from "../../common/defined.ts";
import {
  AddressError,
  type IpAddress,
  isMulticast,
  type MacAddress,
  parseMac,
  parseRevision,
  parseSubnet,
  parseVni,
  parseVtep,
  type Revision,
  type Subnet,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { describeKnowledge } from "../../schema/plain/index.ts";
import { Compile, type Static, Type, type Validator } from "../../schema/typebox.ts";
import type { ControllerReader } from "../identity/read.ts";
import { limitedBroadcast } from "./protocol.ts";

export interface RegisteredNetwork {
  readonly name: string;
  readonly vni: Vni;
  readonly mtu: number;
  readonly subnets: readonly Subnet[];
  /** What operators wrote, and what it means where the controller chooses; for a person. */
  readonly knowledge?: string;
}

/** A VM's address as registered. */
export interface Registered {
  readonly vm: string;
  readonly host: string;
  readonly mac: MacAddress;
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
  readonly revision: Revision;
  /** The bridge port that the interface names. */
  readonly guestPort?: string;
  /** Whether the agent of its host has a session; absent where this host may not know that of another's VM. */
  readonly hostConnected?: boolean;
}

export type InventoryFacts =
  | { readonly kind: "unreachable"; readonly reason: string }
  | { readonly kind: "read"; readonly network: undefined }
  | {
      readonly kind: "read";
      readonly network: RegisteredNetwork;
      readonly from: Registered | undefined;
      readonly to: Registered | undefined;
      /** Of the other host of the path, as the controller has them; absent: it is this host, or the controller does not tell. */
      readonly far?: readonly FarCondition[];
    };

/** What is wrong on another host. */
export interface FarCondition {
  readonly kind: string;
  readonly reason: string;
  readonly fix?: string;
  readonly network?: string;
  readonly subject?: string;
  /** The host has no session: it was so then. */
  readonly isUnknown: boolean;
}

const checkNetwork = Compile(
  Type.Object({
    name: Type.String(),
    vni: Type.Integer(),
    mtu: Type.Integer(),
    subnets: Type.Array(Type.String()),
    knowledge: Type.Optional(Type.String()),
    knowledgeChosen: Type.Optional(
      Type.Object({
        mode: Type.String(),
        addresses: Type.Optional(Type.Integer()),
        hosts: Type.Optional(Type.Integer()),
        changesPerMinute: Type.Optional(Type.Integer()),
      }),
    ),
  }),
);
const checkResolution = Compile(
  Type.Object({
    mac: Type.String(),
    vtep: Type.String(),
    port: Type.Integer(),
    host: Type.String(),
    vm: Type.String(),
    revision: Type.Integer(),
  }),
);
const checkVm = Compile(
  Type.Object({
    hostConnected: Type.Boolean(),
    interfaces: Type.Array(
      Type.Object({ network: Type.String(), mac: Type.String(), port: Type.Optional(Type.String()) }),
    ),
  }),
);

const checkConditions = Compile(
  Type.Object({
    conditions: Type.Array(
      Type.Object({
        kind: Type.String(),
        reason: Type.String(),
        status: Type.String(),
        fix: Type.Optional(Type.String()),
        network: Type.Optional(Type.String()),
        subject: Type.Optional(Type.String()),
      }),
    ),
  }),
);

/** The controller did not answer, or its answer is invalid. */
class InventoryError extends Error {
  override readonly name = "InventoryError";
}

/** @param host of the reader */
export async function readInventory(
  reader: ControllerReader,
  host: string,
  name: string,
  from: IpAddress,
  to: IpAddress,
): Promise<InventoryFacts> {
  try {
    const found = await read(reader, `/v1/networks/${name}`, checkNetwork);
    if (!found) return { kind: "read", network: undefined };
    const { mtu, vni, subnets } = found;
    const knowledge = describeKnowledge(found as Parameters<typeof describeKnowledge>[0]);
    const network = { name: found.name, mtu, vni: parseVni(vni), subnets: subnets.map(parseSubnet), knowledge };
    const [source, destination] = await Promise.all([
      findRegistered(reader, network, from),
      findRegistered(reader, network, to),
    ]);
    const far =
      destination === undefined || destination.host === host
        ? undefined
        : await findFarConditions(reader, destination.host, name);
    return { kind: "read", network, from: source, to: destination, ...defined({ far }) };
  } catch (error) {
    if (error instanceof InventoryError || error instanceof AddressError) {
      return { kind: "unreachable", reason: error.message };
    }
    throw error;
  }
}

/** @returns undefined where the controller does not tell: one of 0.1.0 does not know conditions */
async function findFarConditions(
  reader: ControllerReader,
  host: string,
  name: string,
): Promise<FarCondition[] | undefined> {
  const { status, body } = await readAny(reader, `/v1/conditions?host=${encodeURIComponent(host)}`);
  if (status !== 200 || !checkConditions.Check(body)) return undefined;
  return body.conditions
    .filter(({ network = name }) => network === name)
    .map(({ status: known, ...each }) => ({ ...each, isUnknown: known === "unknown" }));
}

async function findRegistered(
  reader: ControllerReader,
  network: RegisteredNetwork,
  ip: IpAddress,
): Promise<Registered | undefined> {
  if (ip === limitedBroadcast || isMulticast(ip)) return undefined;
  const found = await read(reader, `/v1/resolve?vni=${network.vni}&ip=${encodeURIComponent(ip)}`, checkResolution);
  if (!found) return undefined;
  const vm = await read(reader, `/v1/vms/${found.vm}`, checkVm);
  const attached = vm?.interfaces.find((each) => each.network === network.name && each.mac === found.mac);
  return {
    vm: found.vm,
    host: found.host,
    mac: parseMac(found.mac),
    vtep: parseVtep(found.vtep),
    vtepPort: found.port,
    revision: parseRevision(found.revision),
    ...(vm ? { hostConnected: vm.hostConnected } : {}),
    ...defined({ guestPort: attached?.port }),
  };
}

/** @returns undefined for 404. @throws InventoryError */
async function read<T extends Type.TSchema>(
  reader: ControllerReader,
  path: string,
  check: Validator<Record<never, never>, T>,
): Promise<Static<T> | undefined> {
  const { status, body } = await readAny(reader, path);
  if (status === 404) return undefined;
  if (status !== 200) throw new InventoryError(`GET ${path}: status ${status}`);
  if (!check.Check(body)) throw new InventoryError(`GET ${path}: not what a nearmiss controller answers`);
  return body;
}

async function readAny(reader: ControllerReader, path: string): Promise<{ status: number; body: unknown }> {
  try {
    return await reader(path);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new InventoryError(`GET ${path}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
