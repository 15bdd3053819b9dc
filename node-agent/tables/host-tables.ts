// The other hosts of each network with their tunnel ends, as the controller's host tables have them. No I/O.
import type { Vni, VtepAddress } from "../../schema/address/index.ts";

/** A host of a network. */
export interface NetworkHost {
  readonly vtep: VtepAddress;
  /** Absent: from a controller of version 1, which does not say. */
  readonly port?: number;
}

/** By network and name. */
export type HostsByNetwork = ReadonlyMap<Vni, ReadonlyMap<string, NetworkHost>>;

/** A host table or a change of it; `vtep` null removes a host. */
export interface HostTableFrame {
  readonly vni: Vni;
  readonly whole: boolean;
  readonly hosts: readonly (
    | { readonly host: string; readonly vtep: VtepAddress; readonly port?: number }
    | { readonly host: string; readonly vtep: null }
  )[];
  /** More of the same network follow otherwise. */
  readonly end: boolean;
}

export class HostTables {
  private readonly byVni = new Map<Vni, Map<string, NetworkHost>>();
  /** A complete set, of which more chunks follow. */
  private readonly partial = new Map<Vni, Map<string, NetworkHost>>();

  /** @param self the receiving host, which no table here has */
  constructor(private readonly self: string) {}

  /** @param left called for each host that was in the table and is not any more. @returns whether a network's table is another now */
  take({ vni, whole, hosts, end }: HostTableFrame, left: (host: string) => void = () => {}): boolean {
    const table = whole ? new Map<string, NetworkHost>() : (this.partial.get(vni) ?? this.byVni.get(vni) ?? new Map());
    for (const { host, ...found } of hosts) {
      if (host === this.self) continue;
      if (found.vtep === null) table.delete(host);
      else table.set(host, found);
    }
    if (!end) {
      this.partial.set(vni, table);
      return false;
    }
    // A change is made in the table itself, a whole one is another.
    const before = this.byVni.get(vni);
    if (before === table) for (const { host, vtep } of hosts) if (vtep === null) left(host);
    if (before !== table) for (const host of before?.keys() ?? []) if (!table.has(host)) left(host);
    this.partial.delete(vni);
    this.byVni.set(vni, table);
    return true;
  }

  /** Tables of other networks are forgotten. */
  keep(vnis: Iterable<Vni>): void {
    const kept = new Set(vnis);
    for (const vni of this.byVni.keys()) if (!kept.has(vni)) this.byVni.delete(vni);
    this.partial.clear();
  }

  /** Those that the controller has sent. */
  all(): HostsByNetwork {
    return this.byVni;
  }

  /** Undefined: the controller has not sent this table. */
  of(vni: Vni): Iterable<NetworkHost> | undefined {
    return this.byVni.get(vni)?.values();
  }

  /** By network: the tunnel ends of its hosts. */
  vteps(): ReadonlyMap<Vni, ReadonlySet<VtepAddress>> {
    return new Map([...this.byVni].map(([vni, hosts]) => [vni, new Set([...hosts.values()].map(({ vtep }) => vtep))]));
  }
}
