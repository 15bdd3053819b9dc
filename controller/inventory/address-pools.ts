// The pools from which addresses are assigned: for each subnet the offsets in use, by a VM or for a while after a
// release. A subnet's set is created when an address is first requested from it, and updated with every change from
// then on.
import {
  type IpAddress,
  rangeEnds,
  type Subnet,
  subnetAddress,
  subnetContains,
  subnetFamily,
  subnetOffset,
  subnetSize,
} from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { defaultQuarantineSeconds, type Network } from "../../schema/rest/index.ts";
import type { Inventory } from "./inventory.ts";
import { OffsetSet, offsetLimit } from "./offset-set.ts";
import { addressesAfter, Quarantine, releasedBy, type TimedRelease } from "./quarantine.ts";

/** How full a subnet is, for the text of a refusal. */
export interface Occupancy {
  /** Addresses that VMs have, or that are in quarantine after a release. */
  readonly taken: number;
  readonly heldBack: number;
  /** Offsets that addresses are assigned from, taken ones included. */
  readonly assignable: number;
}

export class AddressPools {
  private readonly quarantine = new Quarantine();
  private readonly taken = new Map<string, Map<Subnet, OffsetSet>>();
  /** Sets that were made since the start. */
  made = 0;

  /** @param released addresses that `state` does not have any more, in order of their release */
  constructor(state: Inventory, released: readonly TimedRelease[] = []) {
    for (const release of released) {
      if (state.findOwnerOfIp(release.network, release.ip) === undefined) this.quarantine.hold(release);
    }
  }

  /**
   * All releases before any that is taken: one change set may hand an address on.
   * @returns the releases that the change set ends, for `revert`
   */
  apply(changes: readonly ResourceChange[], nowMs: number): TimedRelease[] {
    const ended = changes.flatMap((change) => this.endedBy(change));
    for (const change of changes) this.release(change, nowMs);
    for (const change of changes) this.takeAfter(change);
    return ended;
  }

  /**
   * The first half of a change. In a change set all first halves come before all second ones.
   * @param coming the inventory with the change set, where addresses were taken ahead: those that it hands on are not released
   */
  release(change: ResourceChange, nowMs: number, coming?: Inventory): void {
    if (change.kind === "network" && change.before) this.taken.delete(change.before.name);
    for (const release of releasedBy(change)) {
      if (coming?.findOwnerOfIp(release.network, release.ip) !== undefined) continue;
      this.quarantine.hold({ ...release, atMs: nowMs });
    }
  }

  /** The second half. */
  takeAfter(change: ResourceChange): void {
    if (this.isIdle) return;
    for (const { network, ip } of addressesAfter(change)) this.take(network, ip);
  }

  /**
   * As `takeAfter`, of a change that may be taken back with `giveBack`: nothing of it is in the state that the pools follow.
   * @returns the releases that it ends
   */
  takeAhead(change: ResourceChange): TimedRelease[] {
    if (this.isIdle) return [];
    const ended = this.endedBy(change);
    this.takeAfter(change);
    return ended;
  }

  /** @param state without the change */
  giveBack(state: Inventory, change: ResourceChange): void {
    for (const { network, ip } of addressesAfter(change)) this.correct(state, network, ip);
  }

  /** Puts releases back that were ended. */
  restore(ended: readonly TimedRelease[]): void {
    this.quarantine.restore(ended);
  }

  /** No address was ever requested from a subnet, and none is in quarantine: there is nothing to follow. */
  get isIdle(): boolean {
    return this.taken.size === 0 && this.quarantine.isEmpty;
  }

  /**
   * The change set was not stored: everything is as it was before it.
   * @param state without the change set
   * @param ended what `apply` returned
   */
  revert(state: Inventory, changes: readonly ResourceChange[], ended: readonly TimedRelease[]): void {
    for (const change of changes) {
      for (const { network, ip } of releasedBy(change)) this.quarantine.end(network, ip);
    }
    this.quarantine.restore(ended);
    for (const change of changes) {
      const changed = change.after ?? change.before;
      if (change.kind === "network" && changed) this.taken.delete(changed.name);
      for (const { network, ip } of [...releasedBy(change), ...addressesAfter(change)])
        this.correct(state, network, ip);
    }
  }

  /**
   * The lowest address of the subnet that is free, not reserved, and accepted by `isFree`; undefined if there is none.
   * The cost does not grow with the subnet or the number of addresses in use.
   * @param cursor begins there, and ends at the address: for searches between which nothing becomes free
   */
  findFree(
    state: Inventory,
    network: Network,
    subnet: Subnet,
    nowMs: number,
    isFree: (ip: IpAddress) => boolean,
    cursor = { offset: 0 },
  ): IpAddress | undefined {
    const taken = this.takenIn(state, network, subnet, nowMs);
    for (const [first, last] of assignableRanges(network, subnet)) {
      for (let at = taken.nextFree(Math.max(first, cursor.offset)); at <= last; at = taken.nextFree(at + 1)) {
        const ip = subnetAddress(subnet, BigInt(at));
        if (!isFree(ip)) continue;
        cursor.offset = at;
        return ip;
      }
    }
    return undefined;
  }

  occupancy(state: Inventory, network: Network, subnet: Subnet, nowMs: number): Occupancy {
    const { size } = this.takenIn(state, network, subnet, nowMs);
    const heldBack = [...this.quarantine.heldIn(network.name)].filter((ip) => subnetContains(subnet, ip)).length;
    const assignable = assignableRanges(network, subnet).reduce((sum, [first, last]) => sum + last - first + 1, 0);
    return { taken: size, heldBack, assignable };
  }

  private endedBy(change: ResourceChange): TimedRelease[] {
    return addressesAfter(change).flatMap(({ network, ip }) => {
      const atMs = this.quarantine.releasedAtMs(network, ip);
      return atMs === undefined ? [] : [{ network, ip, atMs }];
    });
  }

  private take(network: string, ip: IpAddress): void {
    this.quarantine.end(network, ip);
    for (const [subnet, set] of this.taken.get(network) ?? []) {
      const offset = offsetIn(subnet, ip);
      if (offset !== undefined) set.add(offset);
    }
  }

  /** Marks the address as taken in its subnets if a VM has it or it is in quarantine, and as free otherwise. */
  private correct(state: Inventory, network: string, ip: IpAddress): void {
    const isTaken =
      state.findOwnerOfIp(network, ip) !== undefined || this.quarantine.releasedAtMs(network, ip) !== undefined;
    for (const [subnet, set] of this.taken.get(network) ?? []) {
      const offset = offsetIn(subnet, ip);
      if (offset === undefined) continue;
      if (isTaken) set.add(offset);
      else set.delete(offset);
    }
  }

  private takenIn(state: Inventory, network: Network, subnet: Subnet, nowMs: number): OffsetSet {
    const heldMs = (network.quarantineSeconds ?? defaultQuarantineSeconds) * 1_000;
    const expired = this.quarantine.expire(network.name, nowMs - heldMs);
    const subnets = this.taken.get(network.name) ?? new Map<Subnet, OffsetSet>();
    this.taken.set(network.name, subnets);
    for (const [each, set] of subnets) {
      for (const ip of expired) {
        const offset = offsetIn(each, ip);
        if (offset !== undefined) set.delete(offset);
      }
    }
    const known = subnets.get(subnet);
    if (known) return known;
    const made = new OffsetSet();
    this.made += 1;
    subnets.set(subnet, made);
    const add = (ip: IpAddress) => {
      const offset = offsetIn(subnet, ip);
      if (offset !== undefined) made.add(offset);
    };
    for (const [ip] of state.addressesIn(network.name)) add(ip);
    for (const ip of this.quarantine.heldIn(network.name)) add(ip);
    return made;
  }
}

/** Undefined outside of the subnet, and beyond the range of assignment. */
function offsetIn(subnet: Subnet, ip: IpAddress): number | undefined {
  if (!subnetContains(subnet, ip)) return undefined;
  const offset = subnetOffset(subnet, ip);
  return offset < offsetLimit ? Number(offset) : undefined;
}

/**
 * From where to where addresses are assigned, as offsets: without the ends that no guest can have (see
 * `subnet-rules.ts`), gateways and reserved ranges. Where the network names no gateways, the first host address of each
 * subnet is left to one. Of large subnets the first 2^48 addresses are used.
 */
export function assignableRanges(network: Network, subnet: Subnet): [first: number, last: number][] {
  const size = Number(subnetSize(subnet));
  const hasEnds = size > 2;
  const start = hasEnds ? 1 : 0;
  const end = hasEnds && subnetFamily(subnet) === 4 ? size - 2 : size - 1;
  const blocked = [
    ...(network.gateways?.map((ip) => [ip, ip] as const) ?? []),
    ...(network.reserved?.map(rangeEnds) ?? []),
  ].flatMap(([first, last]): [number, number][] => {
    if (!subnetContains(subnet, first)) return [];
    return [[Number(subnetOffset(subnet, first)), Number(subnetOffset(subnet, last))]];
  });
  if (!network.gateways && hasEnds) blocked.push([start, start]);
  blocked.sort(([a], [b]) => a - b);
  const ranges: [number, number][] = [];
  let next = start;
  for (const [first, last] of blocked) {
    if (first > next) ranges.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  ranges.push([next, end]);
  return ranges
    .map(([first, last]): [number, number] => [first, Math.min(last, offsetLimit - 1)])
    .filter(([first, last]) => first <= last);
}
