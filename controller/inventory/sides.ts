// A change set has an inventory before it and one behind it: what is looked up in either.
import type { Vni } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { interfaceKey, type Vm } from "../../schema/rest/index.ts";
import { attachmentIn, type Inventory } from "./inventory.ts";

export type VmChange = Extract<ResourceChange, { kind: "vm" }>;

/** The state on one side of the change set. */
export interface Side {
  readonly vniOf: (network: string) => Vni | undefined;
  readonly findVm: (name: string) => Vm | undefined;
}

export const sideOf = (state: Inventory): Side => ({
  vniOf: (name) => state.findNetwork(name)?.vni,
  findVm: (name) => state.findVm(name),
});

/** A nested guest's is that of its parent. */
export function portOf(
  { port, parent }: Vm["interfaces"][number],
  { findVm }: Pick<Side, "findVm">,
): string | undefined {
  return parent === undefined ? port : attachmentIn(parent, findVm)?.interface.port;
}

/** VMs whose port is one of this VM's that has changed. */
export function* nestedIn(after: Inventory, { before, after: vm }: VmChange): Generator<Vm> {
  for (const { name, port } of vm?.interfaces ?? []) {
    if (before?.interfaces.find((each) => each.name === name)?.port === port) continue;
    for (const child of after.childrenOf(interfaceKey(vm?.name ?? "", name))) yield child.vm;
  }
}
