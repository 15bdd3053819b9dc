// MACs and IPs for interfaces that name none.
import { type IpAddress, type MacAddress, type Subnet, subnetFamily } from "../../schema/address/index.ts";
import {
  type InterfaceRequest,
  type InterfaceSpec,
  movableIps,
  type Network,
  ownIps,
  type Vm,
  type VmRequest,
  type VmSpec,
} from "../../schema/rest/index.ts";
import type { AddressPools } from "./address-pools.ts";
import type { Draft } from "./draft.ts";
import type { Inventory } from "./inventory.ts";
import { HashIndex } from "./packed/hash-index.ts";
import { hashOfText } from "./packed/hashing.ts";
import { none } from "./packed/rows.ts";
import { Refusal } from "./refusal.ts";
import { includesNetwork } from "./scope.ts";

export interface AddressSource {
  readonly pools: AddressPools;
  /** That the pools follow; absent: the one that the decision is made on. */
  readonly state?: Inventory;
  /** A random locally administered unicast address. */
  readonly newMac: () => MacAddress;
  /** Wall clock. */
  readonly nowMs: number;
}

/** Where the search for a free address of a subnet goes on: what is taken stays so in a decision. */
interface Cursor {
  offset: number;
}

/** Addresses that a change set names or was given: none of them is given twice. */
export class Claims {
  /**
   * Two hashes of each, since an import may name millions. Of 2^62 addresses one is wrongly found to be claimed, and left out: what
   * VMs name is checked by the rules, not here.
   */
  private readonly taken = new HashIndex();
  private readonly cursors = new Map<string, Cursor>();

  add(network: string, address: string): void {
    this.taken.add(hashOfText(`${network} ${address}`), otherHash(network, address));
  }

  has(network: string, address: string): boolean {
    const { taken } = this;
    const other = otherHash(network, address);
    for (let each = taken.first(hashOfText(`${network} ${address}`)); each !== none; each = taken.next()) {
      if (each === other) return true;
    }
    return false;
  }

  cursorIn(network: string, subnet: Subnet): Cursor {
    const key = `${network} ${subnet}`;
    const cursor = this.cursors.get(key) ?? { offset: 0 };
    this.cursors.set(key, cursor);
    return cursor;
  }

  addRequest({ interfaces }: VmRequest): void {
    for (const { network, mac, ips = [], ...allowing } of interfaces) {
      if (mac) this.add(network, mac);
      for (const ip of [...ips, ...movableIps(allowing)]) this.add(network, ip);
    }
  }
}

/** As an id: not negative, and below the largest that an index takes. */
const otherHash = (network: string, address: string): number => hashOfText(`${address} ${network}`) & 0x3fff_ffff;

/** Fills omitted fields with the VM's present values: the same request twice changes nothing. */
export function keepAssigned(current: Vm | undefined, request: VmRequest): VmRequest {
  if (!current) return request;
  const interfaces = request.interfaces.map((each) => {
    const held = current.interfaces.find(({ name, network }) => name === each.name && network === each.network);
    if (!held || isWhole(each)) return each;
    const { name, network, mac = held.mac, ips = ownIps(held), ...rest } = each;
    return { name, network, mac, ips, ...rest };
  });
  return { ...request, interfaces };
}

/** Whether an address is left to the controller. */
export const leavesOpen = ({ interfaces }: VmRequest): boolean => !interfaces.every(isWhole);

const isWhole = (each: InterfaceRequest): each is InterfaceSpec => each.mac !== undefined && each.ips !== undefined;

/**
 * A VM that names all of its addresses is not copied.
 * @throws Refusal if a subnet has no address left, or the network does not exist
 */
export function assignAddresses(draft: Draft, request: VmRequest, claims: Claims, source?: AddressSource): VmSpec {
  const { interfaces: given } = request;
  if (given.every(isWhole)) return { ...request, interfaces: given };
  const interfaces = request.interfaces.map(({ name, network, mac, ips, ...rest }) => {
    if (mac && ips) return { name, network, mac, ips, ...rest };
    if (!source) throw new Error("no source to assign addresses from");
    const found = draft.findNetwork(network);
    const owner = `VM "${request.name}", interface "${name}"`;
    if (!found || !includesNetwork(draft.scope, network))
      throw new Refusal("unknown-reference", `${owner}: no network is named "${network}"`);
    return {
      name,
      network,
      mac: mac ?? assignMac(draft, found, claims, source),
      ips: ips ?? assignIps(draft.base, found, owner, claims, source),
      ...rest,
    };
  });
  return { ...request, interfaces };
}

function assignMac(draft: Draft, network: Network, claims: Claims, source: AddressSource): MacAddress {
  for (;;) {
    const mac = source.newMac();
    if (claims.has(network.name, mac) || draft.base.findOwnerOfMac(network.name, mac) !== undefined) continue;
    claims.add(network.name, mac);
    return mac;
  }
}

/** One address of each family that the network has, from the first subnet with room. */
function assignIps(
  state: Inventory,
  network: Network,
  owner: string,
  claims: Claims,
  source: AddressSource,
): IpAddress[] {
  const families = [...new Set(network.subnets.map(subnetFamily))];
  return families.map((family) => {
    const subnets = network.subnets.filter((subnet) => subnetFamily(subnet) === family);
    for (const subnet of subnets) {
      const current = source.state ?? state;
      const isFree = (each: IpAddress) =>
        !claims.has(network.name, each) && current.interfacesAllowing(network.name, each).length === 0;
      const cursor = claims.cursorIn(network.name, subnet);
      const ip = source.pools.findFree(current, network, subnet, source.nowMs, isFree, cursor);
      if (!ip) continue;
      claims.add(network.name, ip);
      return ip;
    }
    const reasons = subnets.map((subnet) => describeFull(source.state ?? state, network, subnet, source));
    throw new Refusal(
      "addresses-exhausted",
      `${owner}: no address is left in network "${network.name}": ${reasons.join("; ")}. Add a subnet, release ` +
        "addresses, or name one in ips",
    );
  });
}

function describeFull(state: Inventory, network: Network, subnet: Subnet, { pools, nowMs }: AddressSource): string {
  const { taken, heldBack, assignable } = pools.occupancy(state, network, subnet, nowMs);
  const held = heldBack > 0 ? `, ${heldBack} of them in quarantine after their release` : "";
  const addresses = taken === 1 ? "address" : "addresses";
  return `${subnet} has ${taken} ${addresses} taken${held}, and ${assignable} to assign from`;
}
