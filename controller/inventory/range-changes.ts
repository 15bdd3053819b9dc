// As binding-changes.ts, for a change set of any size: nothing is kept for each VM or key. What a key was and what it is is looked up in
// the inventory before the change set and in the one after it.
import type { BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Host, Network, Vm } from "../../schema/rest/index.ts";
import {
  type BindingChanges,
  type KeyChange,
  nestedIn,
  sameForAgents,
  tunnelMoved,
  type VmChange,
} from "./binding-changes.ts";
import { keysOf, keysOfVm } from "./bindings.ts";
import { type Changes, placesIn } from "./changes.ts";
import type { Inventory } from "./inventory.ts";
import { countRelations, hostsKnowing, relationsOf } from "./known-networks.ts";
import type { Steps } from "./steps.ts";

export interface Transition {
  readonly before: Inventory;
  readonly after: Inventory;
  /** Of all that it has written. */
  readonly revision: Revision;
  readonly changes: Changes;
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
  return { keys, ...(yield* visibilityChanges(transition)), selves, deletedHosts };
}

/** Undefined is a step without a key. */
function* changedKeys(transition: Transition, selves: readonly Host[]): Generator<KeyChange | undefined> {
  const { after, revision, changes } = transition;
  const moved = new Set(selves.map(({ name }) => name));
  const nested = new Set<string>();
  for (const change of changes) {
    yield undefined;
    if (change.kind !== "vm") continue;
    yield* keysAfter(transition, change, moved);
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
}

function placeAt(state: Inventory, key: BindingKey): Place | undefined {
  const network = state.findNetworkByVni(key.vni);
  const located = network && state.locate(network.name, key);
  if (!located) return undefined;
  const { host, mac, parent, router } = located;
  // A nested guest's port is that of its parent.
  const port = parent === undefined ? located.port : state.findInterface(parent)?.interface.port;
  return { host, mac, port, router: router === true };
}

function samePlace(a: Place, b: Place): boolean {
  return a.host === b.host && a.mac === b.mac && a.port === b.port && a.router === b.router;
}

type Visibility = Pick<BindingChanges, "networks" | "joined" | "gone">;

function* visibilityChanges({ before, after, changes }: Transition): Steps<Visibility> {
  const networks = new Lists<Network>();
  const joined = new Lists<Vni>();
  const gone = new Lists<Vni>();
  const compare = (host: string, vni: Vni | undefined) => {
    if (vni === undefined) return;
    const network = after.findNetworkByVni(vni);
    const was = countAt(before, host, before.findNetworkByVni(vni));
    const now = countAt(after, host, network);
    if (network && now > 0 && was === 0) {
      networks.add(host, network);
      joined.add(host, vni);
    }
    if (now === 0 && was > 0) gone.add(host, vni);
  };
  const side = (state: Inventory, vm: Vm | null) => {
    for (const { host, network } of vm ? relationsOf(vm) : []) compare(host, state.findNetwork(network)?.vni);
  };
  for (const change of changes) {
    yield;
    if (change.kind !== "vm") continue;
    side(before, change.before);
    side(after, change.after);
  }
  for (const change of placesIn(changes)) {
    if (!isForAgents(change)) continue;
    for (const host of hostsKnowing(after, change.after.name)) networks.add(host, change.after);
  }
  return { networks: networks.all, joined: joined.all, gone: gone.all };
}

function isForAgents(change: ResourceChange): change is ResourceChange & { kind: "network"; after: Network } {
  return change.kind === "network" && change.after !== null && !sameForAgents(change.before, change.after);
}

const countAt = (state: Inventory, host: string, network: Network | undefined): number =>
  network ? countRelations(state, { host, network: network.name }) : 0;

/** Lists by host, with each item once. */
class Lists<T> {
  readonly all = new Map<string, T[]>();
  private readonly listed = new Map<string, Set<T>>();

  add(host: string, item: T): void {
    const listed = this.listed.get(host) ?? new Set();
    this.listed.set(host, listed);
    if (listed.has(item)) return;
    listed.add(item);
    const list = this.all.get(host);
    if (list) list.push(item);
    else this.all.set(host, [item]);
  }
}
