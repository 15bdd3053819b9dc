// Guests of VMs that are being migrated to this host: they may come at any moment, and are this host's own with the commit. No I/O.
import type { MacAddress, PreparedChange, PreparedGuest, Vni } from "../../schema/address/index.ts";
import type { AddressedGuest } from "./held-network.ts";

export class PreparedGuests {
  private readonly guests = new Map<Vni, Map<MacAddress, PreparedGuest>>();

  in(vni: Vni): AddressedGuest[] {
    return [...(this.guests.get(vni)?.values() ?? [])].map(({ vni: _, ...guest }) => guest);
  }

  has(vni: Vni, mac: MacAddress): boolean {
    return this.guests.get(vni)?.has(mac) === true;
  }

  list(): PreparedGuest[] {
    return [...this.guests.values()].flatMap((guests) => [...guests.values()]);
  }

  /** The whole set. @returns the networks that it may have changed */
  replace(guests: readonly PreparedChange[]): Set<Vni> {
    const before = [...this.guests.keys()];
    this.guests.clear();
    return new Set([...before, ...this.change(guests)]);
  }

  /** @returns the networks that it may have changed */
  change(changes: readonly PreparedChange[]): Set<Vni> {
    for (const change of changes) {
      const { vni, mac } = change;
      const guests = this.guests.get(vni) ?? new Map<MacAddress, PreparedGuest>();
      if (change.ips === undefined) guests.delete(mac);
      else guests.set(mac, change);
      if (guests.size > 0) this.guests.set(vni, guests);
      else this.guests.delete(vni);
    }
    return new Set(changes.map(({ vni }) => vni));
  }

  /** The network has left this host. */
  forget(vni: Vni): void {
    this.guests.delete(vni);
  }
}
