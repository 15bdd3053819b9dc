// As binding-changes.ts, for a change set of any size: nothing is kept for each VM or key. Which VMs changed is read from the tables
// (difference.ts), what a key was and what it is is looked up in the inventory before the change set and in the one after it.
import { isDeepStrictEqual } from "node:util";
import type { BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import type { Host, Vm } from "../../schema/rest/index.ts";
import { type BindingChanges, type KeyChange, redefinedIn, tunnelMoved } from "./binding-changes.ts";
import { keysOf, keysOfVm } from "./bindings.ts";
import { type Changes, placesIn } from "./changes.ts";
import type { IsConcerned } from "./difference.ts";
import { HostVnis } from "./host-vnis.ts";
import type { Inventory, Located } from "./inventory.ts";
import { countRelations } from "./known-networks.ts";
import type { PinnedInventory } from "./pinned-inventory.ts";
import { preparations } from "./prepared-guests.ts";
import { nestedIn, sideOf, type VmChange } from "./sides.ts";
import type { Steps } from "./steps.ts";

export interface Transition {
  /** Pinned right before the change set, the last one that was applied. */
  readonly before: PinnedInventory;
  readonly after: Inventory;
  /** Of all that it has written. */
  readonly revision: Revision;
  readonly changes: Changes;
  /** Keys of a new VM are left out where it says no; default: none are. */
  readonly isConcerned?: IsConcerned;
}

/** Keys are found when they are read, and read as long as both inventories are there. */
export function* rangeChanges(transition: Transition): Steps<BindingChanges> {
  const selves: Host[] = [];
  const deletedHosts: string[] = [];
  for (const change of placesIn(transition.changes)) {
    yield;
    if (change.kind !== "host" || !change.before) continue;
    if (!change.after) deletedHosts.push(change.before.name);
    else if (tunnelMoved(change)) selves.push(change.after);
  }
  const keys = { [Symbol.iterator]: () => changedKeys(transition, selves) };
  const redefined = redefinedIn(placesIn(transition.changes));
  const prepared = { [Symbol.iterator]: () => preparationsIn(transition) };
  return { keys, ...(yield* visibilityChanges(transition)), redefined, selves, deletedHosts, prepared };
}

function preparationsIn({ before, after }: Transition): ReturnType<typeof preparations> {
  return preparations({ earlier: sideOf(before), later: sideOf(after) }, after, preparedVms(before));
}

/** VMs that may be, or have been, prepared. */
function* preparedVms(before: PinnedInventory): Generator<VmChange> {
  yield* before.replacedVms;
  for (const change of before.newVms(() => false)) if (change) yield change;
}

/** All but what concerns no host. Undefined is a step without a VM. */
function* changedVms({ before, isConcerned = () => true }: Transition): Generator<VmChange | undefined> {
  yield* before.replacedVms;
  yield* before.newVms(isConcerned);
}

/** Undefined is a step without a key. */
function* changedKeys(transition: Transition, selves: readonly Host[]): Generator<KeyChange | undefined> {
  const { before, after, revision } = transition;
  const moved = new Set(selves.map(({ name }) => name));
  const isAllNew = !before.replacesVms;
  const nested = new Set<string>();
  for (const change of changedVms(transition)) {
    yield undefined;
    if (!change) continue;
    if (isAllNew && change.after) yield* keysOfNew(after, change.after);
    else yield* keysAfter(transition, change, moved);
    yield* keysLost(transition, change);
    for (const vm of nestedIn(after, change)) {
      if (vm.revision === revision || nested.has(vm.name)) continue;
      nested.add(vm.name);
      yield* keysAfter(transition, { kind: "vm", before: vm, after: vm }, moved);
    }
  }
  for (const { name } of selves) {
    for (const vm of after.vmsOn(name).values()) {
      yield undefined;
      if (vm.revision === revision || nested.has(vm.name)) continue;
      for (const key of keysOfVm(after, vm)) yield { key, hosts: new Set([name]), created: false };
    }
  }
}

/** Where no VM was there before, no key was. */
function* keysOfNew(after: Inventory, vm: Vm): Generator<KeyChange> {
  for (const key of keysOfVm(after, vm)) yield { key, hosts: new Set([vm.host]), created: true };
}

/** Keys that the VM has. @param moved hosts whose tunnel end is another: each of their keys has another answer */
function* keysAfter(transition: Transition, change: VmChange, moved: ReadonlySet<string>): Generator<KeyChange> {
  const { before, after } = transition;
  for (const key of change.after ? keysOfVm(after, change.after) : []) {
    const was = placeAt(before, key);
    const now = placeAt(after, key);
    if (!now) continue;
    if (!was) yield { key, hosts: new Set([now.host]), created: true };
    else if (!samePlace(was, now) || moved.has(now.host)) {
      yield { key, hosts: new Set([was.host, now.host]), created: false };
    }
  }
}

/** Keys that it had, and that no VM has now: another one that has it is in the change set too. */
function* keysLost({ before, after }: Transition, change: VmChange): Generator<KeyChange> {
  for (const each of change.before?.interfaces ?? []) {
    const vni = before.findNetwork(each.network)?.vni;
    if (vni === undefined || !change.before) continue;
    for (const key of keysOf(each, vni)) {
      if (!placeAt(after, key)) yield { key, hosts: new Set([change.before.host]), created: false };
    }
  }
}

/** The answer for a key without its host's VTEP. */
interface Place {
  readonly host: string;
  readonly mac: string;
  readonly port: string | undefined;
  readonly router: boolean;
  readonly allowed: Located["allowed"];
}

function placeAt(state: Inventory, key: BindingKey): Place | undefined {
  const network = state.findNetworkByVni(key.vni);
  const located = network && state.locate(network.name, key);
  if (!located) return undefined;
  const { host, mac, parent, router, allowed } = located;
  // A nested guest's port is that of its parent.
  const port = parent === undefined ? located.port : state.findInterface(parent)?.interface.port;
  return { host, mac, port, router: router === true, allowed };
}

function samePlace(a: Place, b: Place): boolean {
  return (
    a.host === b.host &&
    a.mac === b.mac &&
    a.port === b.port &&
    a.router === b.router &&
    isDeepStrictEqual(a.allowed, b.allowed)
  );
}

function* visibilityChanges({ before, after }: Transition): Steps<Pick<BindingChanges, "joined" | "gone">> {
  const joined = new HostVnis();
  const gone = new HostVnis();
  const compare = (host: string, vni: Vni | undefined) => {
    if (vni === undefined) return;
    const was = countAt(before, host, vni);
    const now = countAt(after, host, vni);
    if (now > 0 && was === 0) joined.add(host, vni);
    if (now === 0 && was > 0) gone.add(host, vni);
  };
  for (const [host, network] of before.changedPairs) {
    yield;
    const vnis = [before, after].map((state) => state.findNetwork(network)?.vni);
    for (const vni of new Set(vnis)) compare(host, vni);
  }
  return { joined, gone };
}

function countAt(state: Inventory, host: string, vni: Vni): number {
  const network = state.findNetworkByVni(vni);
  return network ? countRelations(state, { host, network: network.name }) : 0;
}
