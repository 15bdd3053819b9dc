// Inventory and changes as visible to a caller that is limited to some networks. A VM that also has interfaces in other
// networks is shown with the visible ones only, and can be changed only by a caller who may see them all.
import { isDeepStrictEqual } from "node:util";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { NetworkScope, Vm } from "../../schema/rest/index.ts";

export function includesNetwork(scope: NetworkScope, network: string): boolean {
  return scope === "all" || scope.has(network);
}

/**
 * The VM with its interfaces in reach, or undefined where it has none. A VM without interfaces is seen by a scope that has all
 * of its owners (ADR 0150).
 */
export function narrowVm(scope: NetworkScope, vm: Vm): Vm | undefined {
  if (scope === "all") return vm;
  if (vm.interfaces.length === 0) {
    const { ownerNetworks = [] } = vm;
    return ownerNetworks.length > 0 && ownerNetworks.every((each) => scope.has(each)) ? vm : undefined;
  }
  const interfaces = vm.interfaces.filter((each) => scope.has(each.network));
  if (interfaces.length === vm.interfaces.length) return vm;
  return interfaces.length > 0 ? { ...vm, interfaces } : undefined;
}

/** The change as visible within `scope`, or undefined if nothing of it is visible. */
export function narrowChange(scope: NetworkScope, change: ResourceChange): ResourceChange | undefined {
  if (scope === "all") return change;
  switch (change.kind) {
    case "network":
      return scope.has((change.after ?? change.before)?.name ?? "") ? change : undefined;
    // Hosts belong to no network: which of them matter to one changes with every VM.
    case "host":
      return undefined;
    case "vm": {
      const before = change.before && (narrowVm(scope, change.before) ?? null);
      const after = change.after && (narrowVm(scope, change.after) ?? null);
      if (!before && !after) return undefined;
      if (before && after && isDeepStrictEqual({ ...before, revision: 0 }, { ...after, revision: 0 })) return undefined;
      return { kind: "vm", before, after };
    }
  }
}
