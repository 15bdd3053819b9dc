// What an accepted decision rests on. A change that others make to something else leaves it as right as it was: to decide anew would
// accept the same again. In doubt a change counts as touching it, and the decision is made anew.
import { isDeepStrictEqual } from "node:util";
import { familyOf } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Host, movableIps, type Network, type Vm } from "../../schema/rest/index.ts";
import { allowedKey } from "./allowed-rules.ts";
import { addressKey, portKey, type TakenPlaces } from "./claims.ts";
import type { Draft } from "./draft.ts";
import type { Edit } from "./edits.ts";
import type { HostGains } from "./host-gains.ts";
import { hostsOf } from "./hosts-of.ts";
import type { Inventory } from "./inventory.ts";
import { relationsOf } from "./known-networks.ts";
import type { PortRules } from "./port-rules.ts";
import type { UnderlayRules } from "./underlay-rules.ts";

interface Counted {
  /** MACs and IPs of the decided VMs. */
  readonly addresses: TakenPlaces;
  readonly ports: Pick<PortRules, "claims" | "nests">;
  readonly gains: Pick<HostGains, "fitIn" | "fitsOn">;
  readonly underlays: Pick<UnderlayRules, "coming">;
}

type ChangeOf<T> = { readonly before: T | null; readonly after: T | null };

export class Footprint {
  /** A host gets a tunnel end of the other family: that concerns all hosts of its networks. */
  private readonly changesFamily: boolean;

  constructor(
    private readonly draft: Draft,
    private readonly counted: Counted,
  ) {
    this.changesFamily = [...draft.hosts.values()].some(
      ({ before, after }) => before && after && familyOf(before.vtep) !== familyOf(after.vtep),
    );
  }

  /** @param now the inventory with that change, and any later ones */
  isTouchedBy(change: ResourceChange, now: Inventory): boolean {
    if (this.draft.mayBeUnfound(change.kind, (change.after ?? change.before)?.name ?? "")) return true;
    switch (change.kind) {
      case "network":
        return this.isTouchedByNetwork(change);
      case "host":
        return this.isTouchedByHost(change);
      case "vm":
        return this.isTouchedByVm(change, now);
    }
  }

  /** Whether all hosts have room for the VMs that they gain. */
  fitsIn(now: Inventory): boolean {
    return this.counted.gains.fitIn(now);
  }

  /** Whether the host of the changed VM has room for it and the VMs that it gains. */
  fitsBeside({ kind, after }: ResourceChange, now: Inventory): boolean {
    return kind !== "vm" || after === null || this.counted.gains.fitsOn(now, after.host);
  }

  private isTouchedByNetwork({ before, after }: ChangeOf<Network>): boolean {
    const name = (after ?? before)?.name ?? "";
    return this.draft.networks.has(name) || !isDeepStrictEqual(before && ruledBy(before), after && ruledBy(after));
  }

  private isTouchedByHost({ before, after }: ChangeOf<Host>): boolean {
    const { hosts } = this.draft;
    if (!after || hosts.has(after.name)) return true;
    for (const { after: own } of hosts.values()) if (own?.vtep === after.vtep && own.port === after.port) return true;
    if (!before) return false;
    return familyOf(before.vtep) !== familyOf(after.vtep) || (after.down === true && !before.down);
  }

  private isTouchedByVm({ before, after }: ChangeOf<Vm>, now: Inventory): boolean {
    const { draft, counted } = this;
    if (draft.vms.has((after ?? before)?.name ?? "")) return true;
    // It may be the parent of decided VMs.
    if (counted.ports.nests && before?.interfaces.some(({ port }) => port !== undefined)) return true;
    return after !== null && (this.takesFrom(after) || this.isWhereEdited(after) || this.mixesUnderlays(after, now));
  }

  private takesFrom(vm: Vm): boolean {
    const { addresses, ports } = this.counted;
    const isTaken = (places: TakenPlaces, key: string) => [...places.find(key)].length > 0;
    return vm.interfaces.some(
      ({ network, mac, ips, port, parent, ...allowing }) =>
        [mac, ...ips, ...movableIps(allowing)].some((address) => isTaken(addresses, addressKey(network, address))) ||
        ips.some((ip) => isTaken(addresses, allowedKey(network, ip))) ||
        (port !== undefined && hostsOf(vm).some((host) => isTaken(ports.claims, portKey(host, port)))) ||
        (parent !== undefined && this.draft.vms.has(parent.split("/")[0] ?? "")),
    );
  }

  /** On a host or in a network that the decision changes or deletes. */
  private isWhereEdited(vm: Vm): boolean {
    const { hosts, networks } = this.draft;
    return (
      hostsOf(vm).some((host) => isEdited(hosts.get(host))) ||
      vm.interfaces.some(({ network }) => isEdited(networks.get(network)))
    );
  }

  private mixesUnderlays(vm: Vm, now: Inventory): boolean {
    if (this.changesFamily) return true;
    for (const { host, network } of relationsOf(vm)) {
      const vtep = now.findHost(host)?.vtep;
      const coming = this.counted.underlays.coming.get(network);
      if (vtep === undefined) return true;
      for (const family of coming ?? []) if (family !== familyOf(vtep)) return true;
    }
    return false;
  }
}

const isEdited = (edit: Edit<unknown> | undefined): boolean => edit !== undefined && edit.before !== edit.after;

/** The fields that rules and the assignment of addresses look at. */
const ruledBy = ({ vni, subnets, gateways, reserved }: Network) => ({ vni, subnets, gateways, reserved });
