// What guests of this host may take beside their own addresses, by network and MAC. No I/O.
import type { IpAddress, MacAddress, Subnet, Vni } from "../../schema/address/index.ts";

export interface GuestAllowance {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ips: ReadonlySet<IpAddress | Subnet>;
}

export class GuestAllowances {
  private byGuest = new Map<string, ReadonlySet<IpAddress | Subnet>>();

  replace(all: readonly GuestAllowance[]): void {
    this.byGuest = new Map(all.map(({ vni, mac, ips }) => [`${vni} ${mac}`, ips]));
  }

  /** Whether the guest may have the address, though another may have it now. */
  has(vni: Vni, mac: MacAddress, ip: IpAddress): boolean {
    return this.byGuest.size > 0 && this.byGuest.get(`${vni} ${mac}`)?.has(ip) === true;
  }
}
