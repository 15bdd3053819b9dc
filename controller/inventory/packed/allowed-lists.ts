// Which addresses interfaces may take, by interface and by address. Few interfaces may take any, so these are objects.
import type { IpAddress } from "../../../schema/address/index.ts";
import { type AllowedAddress, movableIps } from "../../../schema/rest/index.ts";

export class AllowedLists {
  private readonly lists = new Map<number, readonly AllowedAddress[]>();
  /** By network, then by address. */
  private readonly byIp = new Map<number, Map<IpAddress, Set<number>>>();
  private readonly byNetwork = new Map<number, Set<number>>();

  add(id: number, network: number, allowedAddresses: readonly AllowedAddress[]): void {
    this.lists.set(id, allowedAddresses);
    this.byNetwork.set(network, (this.byNetwork.get(network) ?? new Set()).add(id));
    const ips = this.byIp.get(network) ?? new Map<IpAddress, Set<number>>();
    this.byIp.set(network, ips);
    for (const ip of movableIps({ allowedAddresses })) ips.set(ip, (ips.get(ip) ?? new Set()).add(id));
  }

  delete(id: number, network: number): void {
    const allowedAddresses = this.lists.get(id);
    if (!allowedAddresses) return;
    this.lists.delete(id);
    removeFrom(this.byNetwork, network, id);
    const ips = this.byIp.get(network) ?? new Map<IpAddress, Set<number>>();
    for (const ip of movableIps({ allowedAddresses })) removeFrom(ips, ip, id);
    if (ips.size === 0) this.byIp.delete(network);
  }

  of(id: number): readonly AllowedAddress[] | undefined {
    return this.lists.get(id);
  }

  allowing(network: number, ip: IpAddress): Iterable<number> {
    return this.byIp.get(network)?.get(ip) ?? [];
  }

  in(network: number): Iterable<number> {
    return this.byNetwork.get(network) ?? [];
  }
}

function removeFrom<Key>(sets: Map<Key, Set<number>>, key: Key, id: number): void {
  const set = sets.get(key);
  if (set?.delete(id) && set.size === 0) sets.delete(key);
}
