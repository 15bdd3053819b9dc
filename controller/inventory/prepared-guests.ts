// Interfaces of VMs that are being migrated to a host, as it is sent them: it expects them at their ports before the migration is
// committed. Pure.
import { isDeepStrictEqual } from "node:util";
import type { PreparedChange, PreparedGuest } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { movableIps, type Vm } from "../../schema/rest/index.ts";
import type { Inventory } from "./inventory.ts";
import { nestedIn, portOf, type Side, sideOf } from "./sides.ts";

/** What a host is sent of one interface. */
export interface HostPreparation {
  readonly host: string;
  readonly change: PreparedChange;
}

/** Of all VMs that are being migrated to the host. */
export function* preparedOn(state: Inventory, host: string): Generator<PreparedGuest, void, void> {
  for (const vm of state.vmsPreparedOn(host)) yield* guestsOf(vm, sideOf(state));
}

/** What the changes make other. Undefined is a step without an interface. */
export function* preparations(
  { earlier, later }: { readonly earlier: Side; readonly later: Side },
  after: Inventory,
  changes: Iterable<ResourceChange>,
): Generator<HostPreparation | undefined, void, void> {
  for (const change of changes) {
    yield undefined;
    if (change.kind !== "vm") continue;
    yield* changed(earlier, change.before, later, change.after);
    for (const vm of nestedIn(after, change)) yield* changed(earlier, vm, later, vm);
  }
}

function* changed(earlier: Side, before: Vm | null, later: Side, after: Vm | null): Generator<HostPreparation> {
  const was = preparationsOf(before, earlier);
  const is = preparationsOf(after, later);
  for (const [name, { host, guest }] of was) {
    if (!is.has(name)) yield { host, change: { vni: guest.vni, mac: guest.mac } };
  }
  for (const [name, { host, guest }] of is) {
    if (!isDeepStrictEqual(was.get(name)?.guest, guest)) yield { host, change: guest };
  }
}

function preparationsOf(
  vm: Vm | null,
  side: Side,
): ReadonlyMap<string, { readonly host: string; readonly guest: PreparedGuest }> {
  const host = vm?.preparedHost;
  if (!vm || host === undefined) return new Map();
  return new Map(guestsOf(vm, side).map((guest) => [`${host} ${guest.vni} ${guest.mac}`, { host, guest }]));
}

function guestsOf(vm: Vm, side: Side): PreparedGuest[] {
  return vm.interfaces.flatMap((each) => {
    const vni = side.vniOf(each.network);
    if (vni === undefined) return [];
    const port = portOf(each, side);
    // What it may take it may have taken when it arrives.
    const ips = [...new Set([...each.ips, ...movableIps(each)])];
    return [{ vni, mac: each.mac, ips, ...(port === undefined ? {} : { port }) }];
  });
}
