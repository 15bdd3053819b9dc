// Turns one revision's resource changes into changes for agents: keys with a new answer, and networks that hosts gained or
// lost. The cost grows with the change set and with the number of VMs on a changed host.
import { isDeepStrictEqual } from "node:util";
import { type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Host, type InterfaceSpec, interfaceKey, type Network, type Vm } from "../../schema/rest/index.ts";
import { agentNetwork, keysOf, localKeys } from "./bindings.ts";
import { attachmentIn, type Inventory } from "./inventory.ts";
import { countRelations, hostsKnowing, type Relation, relationsOf } from "./known-networks.ts";
import type { Steps } from "./steps.ts";

/** A key whose answer changed. */
export interface KeyChange {
  readonly key: BindingKey;
  /** The hosts of the VM that had the key and of the VM that has it: always informed, whether they asked or not. */
  readonly hosts: ReadonlySet<string>;
  /** Nothing was registered under the key before. */
  readonly created: boolean;
}

export interface BindingChanges {
  /** Undefined is a step without a key. */
  readonly keys: Iterable<KeyChange | undefined>;
  /** By host: networks that it sees for the first time, or that changed. */
  readonly networks: ReadonlyMap<string, readonly Network[]>;
  /** By host: VNIs in which it got its first VM. */
  readonly joined: ReadonlyMap<string, readonly Vni[]>;
  /** By host: VNIs in which it has no VM any more. */
  readonly gone: ReadonlyMap<string, readonly Vni[]>;
  /** Hosts whose own tunnel end changed. */
  readonly selves: readonly Host[];
  readonly deletedHosts: readonly string[];
}

/** @param after the state that the changes led to */
export function* bindingChanges(after: Inventory, changes: readonly ResourceChange[]): Steps<BindingChanges> {
  const before = new NetworksBefore(after, changes);
  const keys = yield* changedKeys(after, before, changes);
  const hostChanges = changes.flatMap((change) => (change.kind === "host" ? [change] : []));
  return {
    keys: [...keys.values()],
    ...(yield* visibilityChanges(after, before, changes)),
    selves: hostChanges.flatMap((change) =>
      change.before && change.after && tunnelMoved(change) ? [change.after] : [],
    ),
    deletedHosts: hostChanges.flatMap((change) => (change.before && !change.after ? [change.before.name] : [])),
  };
}

type HostChange = Extract<ResourceChange, { kind: "host" }>;

export function tunnelMoved({ before, after }: HostChange): boolean {
  return before?.vtep !== after?.vtep || before?.port !== after?.port;
}

/** VNIs by network name as they were: a network keeps its VNI while in use, but one change set may empty and replace it. */
class NetworksBefore {
  private readonly replaced = new Map<string, Network>();

  constructor(
    private readonly after: Inventory,
    changes: readonly ResourceChange[],
  ) {
    for (const change of changes) {
      if (change.kind === "network" && change.before) this.replaced.set(change.before.name, change.before);
    }
  }

  find(name: string): Network | undefined {
    return this.replaced.get(name) ?? this.after.findNetwork(name);
  }
}

/** The answer for a key without its host's VTEP, which `changedKeys` compares separately. */
interface Place {
  readonly key: BindingKey;
  readonly host: string;
  /** A nested guest's with the port of its parent. */
  readonly interface: Pick<InterfaceSpec, "mac" | "port" | "router">;
}

/** The state on one side of the change set. */
interface Side {
  readonly vniOf: (network: string) => Vni | undefined;
  readonly findVm: (name: string) => Vm | undefined;
}

function places(vm: Vm, { vniOf, findVm }: Side): Place[] {
  return vm.interfaces.flatMap((each) => {
    const vni = vniOf(each.network);
    if (vni === undefined) return [];
    const { mac, router, parent } = each;
    const { port } = parent === undefined ? each : (attachmentIn(parent, findVm)?.interface ?? {});
    const told = { mac, ...(port === undefined ? {} : { port }), ...(router ? { router } : {}) };
    return keysOf(each, vni).map((key) => ({ key, host: vm.host, interface: told }));
  });
}

type ChangedKeys = Map<string, { key: BindingKey; hosts: Set<string>; created: boolean }>;

function* changedKeys(
  after: Inventory,
  before: NetworksBefore,
  changes: readonly ResourceChange[],
): Steps<ChangedKeys> {
  const was = new Map<string, Place>();
  const is = new Map<string, Place>();
  const changed: ChangedKeys = new Map();
  const edits = new Map<string, VmChange>();
  for (const change of changes) {
    yield;
    if (change.kind === "vm") edits.set(nameOf(change), change);
  }
  const earlier: Side = {
    vniOf: (name) => before.find(name)?.vni,
    findVm: (name) => {
      const edit = edits.get(name);
      return edit ? (edit.before ?? undefined) : after.findVm(name);
    },
  };
  const later: Side = { vniOf: (name) => after.findNetwork(name)?.vni, findVm: (name) => after.findVm(name) };
  const compare = (old: Vm | null, now: Vm | null) => {
    for (const place of old ? places(old, earlier) : []) was.set(keyText(place.key), place);
    for (const place of now ? places(now, later) : []) is.set(keyText(place.key), place);
  };
  for (const change of edits.values()) {
    yield;
    compare(change.before, change.after);
    for (const vm of nestedIn(after, change)) if (!edits.has(vm.name)) compare(vm, vm);
  }
  for (const [text, old] of was) {
    yield;
    const now = is.get(text);
    if (isDeepStrictEqual(old, now)) continue;
    changed.set(text, { key: old.key, hosts: new Set(now ? [old.host, now.host] : [old.host]), created: false });
  }
  for (const [text, { key, host }] of is) {
    yield;
    if (!was.has(text)) changed.set(text, { key, hosts: new Set([host]), created: true });
  }
  for (const change of changes) {
    if (change.kind !== "host" || !change.before || !change.after || !tunnelMoved(change)) continue;
    const { name } = change.after;
    for (const key of localKeys(after, name)) {
      yield;
      const known = changed.get(keyText(key));
      if (known) known.hosts.add(name);
      else changed.set(keyText(key), { key, hosts: new Set([name]), created: false });
    }
  }
  return changed;
}

export type VmChange = Extract<ResourceChange, { kind: "vm" }>;

const nameOf = ({ before, after }: VmChange): string => (after ?? before)?.name ?? "";

/** VMs whose port is one of this VM's that has changed. */
export function* nestedIn(after: Inventory, { before, after: vm }: VmChange): Generator<Vm> {
  for (const { name, port } of vm?.interfaces ?? []) {
    if (before?.interfaces.find((each) => each.name === name)?.port === port) continue;
    for (const child of after.childrenOf(interfaceKey(vm?.name ?? "", name))) yield child.vm;
  }
}

function* visibilityChanges(
  after: Inventory,
  before: NetworksBefore,
  changes: readonly ResourceChange[],
): Steps<Pick<BindingChanges, "networks" | "joined" | "gone">> {
  const networks = new Map<string, Network[]>();
  const joined = new Map<string, Vni[]>();
  const gone = new Map<string, Vni[]>();
  const listUnder = <T>(map: Map<string, T[]>, host: string, item: T) => {
    const list = map.get(host);
    if (!list) map.set(host, [item]);
    else if (!list.includes(item)) list.push(item);
  };
  for (const { host, vni, step } of yield* relationSteps(after, before, changes)) {
    const network = after.findNetworkByVni(vni);
    const now = network ? countRelations(after, { host, network: network.name }) : 0;
    if (network && now > 0 && now - step === 0) {
      listUnder(networks, host, network);
      listUnder(joined, host, vni);
    }
    if (now === 0 && step < 0) listUnder(gone, host, vni);
  }
  for (const change of changes) {
    if (change.kind !== "network" || !change.after || sameForAgents(change.before, change.after)) continue;
    for (const host of hostsKnowing(after, change.after.name)) listUnder(networks, host, change.after);
  }
  return { networks, joined, gone };
}

/** How the number of relations changed, by host and VNI, where a VM was touched. */
function* relationSteps(
  after: Inventory,
  before: NetworksBefore,
  changes: readonly ResourceChange[],
): Steps<Iterable<{ host: string; vni: Vni; step: number }>> {
  const steps = new Map<string, { host: string; vni: Vni; step: number }>();
  const count = ({ host }: Relation, vni: Vni | undefined, step: number) => {
    if (vni === undefined) return;
    const key = `${host} ${vni}`;
    steps.set(key, { host, vni, step: (steps.get(key)?.step ?? 0) + step });
  };
  for (const change of changes) {
    yield;
    if (change.kind !== "vm") continue;
    for (const each of change.before ? relationsOf(change.before) : []) count(each, before.find(each.network)?.vni, -1);
    for (const each of change.after ? relationsOf(change.after) : [])
      count(each, after.findNetwork(each.network)?.vni, 1);
  }
  return steps.values();
}

export function sameForAgents(before: Network | null, after: Network): boolean {
  const now = agentNetwork(after);
  return before !== null && isDeepStrictEqual({ ...agentNetwork(before), revision: now.revision }, now);
}
