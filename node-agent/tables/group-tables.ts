// Multicast groups with members on the other hosts of each network, as the controller sends them. No I/O.
import type { GroupAddress, Vni } from "../../schema/address/index.ts";

/** Of one host, as frames have it. */
interface HostChange {
  readonly host: string;
  /** `joined` are all its groups. */
  readonly whole: boolean;
  readonly joined: readonly GroupAddress[];
  readonly left: readonly GroupAddress[];
}

interface HostGroups {
  /** Its whole set was received: entries of an earlier run that lead there are not needed any more. */
  isWhole: boolean;
  groups: Set<GroupAddress>;
}

export class GroupTables {
  private readonly byVni = new Map<Vni, Map<string, HostGroups>>();

  take(vni: Vni, hosts: readonly HostChange[]): void {
    const table = this.byVni.get(vni) ?? new Map<string, HostGroups>();
    this.byVni.set(vni, table);
    for (const { host, whole, joined, left } of hosts) {
      const known = table.get(host) ?? { isWhole: false, groups: new Set() };
      table.set(host, known);
      if (whole) known.groups = new Set(joined);
      else for (const group of joined) known.groups.add(group);
      if (whole) known.isWhole = true;
      for (const group of left) known.groups.delete(group);
    }
  }

  /** The host has left the network, or is unknown to it. */
  forget(vni: Vni, host: string): void {
    this.byVni.get(vni)?.delete(host);
  }

  /** Those of other networks are forgotten. */
  keep(vnis: Iterable<Vni>): void {
    const kept = new Set(vnis);
    for (const vni of this.byVni.keys()) if (!kept.has(vni)) this.byVni.delete(vni);
  }

  /** The controller does not know of groups: no host is in one. */
  clear(): void {
    this.byVni.clear();
  }

  /** Undefined where nothing was received of the host. */
  of(vni: Vni, host: string): { readonly isWhole: boolean; readonly groups: ReadonlySet<GroupAddress> } | undefined {
    return this.byVni.get(vni)?.get(host);
  }

  /** Hosts of the network with members of the group. */
  hostsOf(vni: Vni, group: GroupAddress): string[] {
    return [...(this.byVni.get(vni) ?? [])].flatMap(([host, { groups }]) => (groups.has(group) ? [host] : []));
  }
}
