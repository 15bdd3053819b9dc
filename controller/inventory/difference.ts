// What a change set makes other, read from the tables that have it and the layer of what was before: its records are not read again.
import type { KeptLayer, Layer } from "./layer.ts";
import { none } from "./packed/rows.ts";
import type { Tables } from "./packed/tables.ts";
import type { VmChange } from "./sides.ts";

/** VMs that were there before: changed or deleted. */
export function* replacedVms({ vms }: Tables, { shown }: Pick<Layer, "shown">): Generator<VmChange, void, void> {
  for (const [name, before] of shown.vmIndex.entries("")) {
    const id = vms.find(name);
    yield { kind: "vm", before, after: id === none ? null : vms.get(id) };
  }
}

/** Whether a host has to know of a new VM with an interface in the network on `host`. */
export type IsConcerned = (host: string, network: string) => boolean;

/**
 * VMs that were not there before. Undefined is a step without one.
 * @param isConcerned VMs for which it is false are left out, unless an address may have been another's
 */
export function* newVms(
  { vms, hostPlaces, networkPlaces }: Tables,
  { shown, hidden }: Pick<KeptLayer, "shown" | "hidden">,
  isConcerned: IsConcerned,
): Generator<VmChange | undefined, void, void> {
  const { interfaces } = vms;
  const replaces = shown.vms.size > 0;
  for (const id of hidden) {
    if (replaces && shown.vms.find(vms.nameOf(id)) !== none) continue;
    const host = hostPlaces.nameOf(vms.hostOf(id));
    // The host for which it is prepared has to know of it, too.
    const isAlways = replaces || vms.isPrepared(id);
    let change: VmChange | undefined;
    for (const each of vms.interfacesOf(id)) {
      if (!isAlways && !isConcerned(host, networkPlaces.nameOf(interfaces.networkOf(each)))) continue;
      change = { kind: "vm", before: null, after: vms.get(id) };
      break;
    }
    yield change;
  }
}
