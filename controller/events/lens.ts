// Selects the events of a consumer: those that its token may see and its filter matches. Pure.
import {
  changeVerb,
  coversType,
  type OperationalEvent,
  operationalType,
  type ResourceChange,
  type ResourceKind,
  type ResourceOf,
} from "../../schema/events/index.ts";
import type { NetworkScope, Vm } from "../../schema/rest/index.ts";
import { narrowChange } from "../inventory/scope.ts";

/** Of each list one must fit; an empty list fits everything. */
export interface EventFilter {
  readonly networks: readonly string[];
  readonly hosts: readonly string[];
  /** CloudEvents types, or their beginnings: see `coversType`. */
  readonly types: readonly string[];
}

type Sides<T> = readonly (T | null)[];

export class Lens {
  /** Consumers with the same key see the same. */
  readonly key: string;

  constructor(
    readonly scope: NetworkScope,
    readonly filter: EventFilter,
  ) {
    const sorted = (names: Iterable<string>) => [...new Set(names)].sort();
    const { networks, hosts, types } = filter;
    const parts = [scope === "all" ? scope : sorted(scope), sorted(networks), sorted(hosts), sorted(types)];
    this.key = JSON.stringify(parts);
  }

  /**
   * The change as visible within the scope, if the filter matches it. A filter never alters a change: deletions from a
   * network and moves off or onto a host pass, with both sides included. The filter is applied to the narrowed change, or
   * it would reveal what the scope hides.
   */
  see(change: ResourceChange): ResourceChange | undefined {
    const seen = narrowChange(this.scope, change);
    return seen && this.passes(seen) ? seen : undefined;
  }

  /** Whether the filter lets an operational event pass. */
  passesOccurrence({ kind, network, host }: Pick<OperationalEvent, "kind" | "network" | "host">): boolean {
    const { networks, hosts } = this.filter;
    return this.wantsType(operationalType(kind)) && fits(networks, network) && fits(hosts, host);
  }

  private passes(change: ResourceChange): boolean {
    const { networks, hosts } = this.filter;
    if (!this.wantsType(`nearmiss.${change.kind}.${changeVerb(change)}`)) return false;
    if (networks.length > 0 && !networksOf(change).some((name) => networks.includes(name))) return false;
    return hosts.length === 0 || hostsOf(change).some((name) => hosts.includes(name));
  }

  private wantsType(type: string): boolean {
    const { types } = this.filter;
    return types.length === 0 || types.some((wanted) => coversType(wanted, type));
  }
}

function fits(wanted: readonly string[], name: string | undefined): boolean {
  return wanted.length === 0 || (name !== undefined && wanted.includes(name));
}

/** Before and after alike. Hosts belong to no network. */
function networksOf(change: ResourceChange): string[] {
  if (change.kind === "network") return namesOf([change.before, change.after]);
  if (change.kind === "host") return [];
  return vmsOf(change).flatMap((vm) => vm.interfaces.map(({ network }) => network));
}

/** Before and after alike. Networks are on no host. */
function hostsOf(change: ResourceChange): string[] {
  if (change.kind === "host") return namesOf([change.before, change.after]);
  return change.kind === "vm" ? vmsOf(change).map(({ host }) => host) : [];
}

function vmsOf({ before, after }: { readonly before: Vm | null; readonly after: Vm | null }): Vm[] {
  return [before, after].filter((vm) => vm !== null);
}

function namesOf(sides: Sides<ResourceOf[ResourceKind]>): string[] {
  return sides.flatMap((side) => side?.name ?? []);
}
