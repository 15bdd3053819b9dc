// Turns one revision's resource changes into changes for agents: keys with a new answer, and networks that hosts gained or
// lost. The cost grows with the change set and with the number of VMs on a changed host.
import { isDeepStrictEqual } from "node:util";
import { type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Host, InterfaceSpec, Network, Vm } from "../../schema/rest/index.ts";
import { agentNetwork, keysOf, localKeys } from "./bindings.ts";
import { HostVnis } from "./host-vnis.ts";
import type { Inventory } from "./inventory.ts";
import { countRelations, type Relation, relationsOf } from "./known-networks.ts";
import { type HostPreparation, preparations } from "./prepared-guests.ts";
import { nestedIn, portOf, type Side, sideOf, type VmChange } from "./sides.ts";
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
  /** VNIs in which a host got its first VM. */
  readonly joined: HostVnis;
  /** VNIs in which a host has no VM any more. */
  readonly gone: HostVnis;
  /** Networks that are new or other for agents: all hosts that may know one are sent it. */
  readonly redefined: readonly Network[];
  /** Hosts whose own tunnel end changed. */
  readonly selves: readonly Host[];
  readonly deletedHosts: readonly string[];
  /** Interfaces that are being migrated to a host, or not any more. Undefined is a step without one. */
  readonly prepared: Iterable<HostPreparation | undefined>;
}

/** @param after the state that the changes led to */
export function* bindingChanges(after: Inventory, changes: readonly ResourceChange[]): Steps<BindingChanges> {
  const before = new NetworksBefore(after, changes);
  const sides = { earlier: sideBefore(after, before, changes), later: sideOf(after) };
  const keys = yield* changedKeys(after, sides, changes);
  const hostChanges = changes.flatMap((change) => (change.kind === "host" ? [change] : []));
  return {
    keys: [...keys.values()],
    ...(yield* visibilityChanges(after, before, changes)),
    redefined: redefinedIn(changes),
    selves: hostChanges.flatMap((change) =>
      change.before && change.after && tunnelMoved(change) ? [change.after] : [],
    ),
    deletedHosts: hostChanges.flatMap((change) => (change.before && !change.after ? [change.before.name] : [])),
    prepared: { [Symbol.iterator]: () => preparations(sides, after, changes) },
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
  readonly interface: Pick<InterfaceSpec, "mac" | "port" | "router" | "allowedAddresses">;
}

/** @param after what is not among the changes is the same there */
function sideBefore(after: Inventory, networks: NetworksBefore, changes: readonly ResourceChange[]): Side {
  const edits = new Map<string, VmChange>();
  for (const change of changes) if (change.kind === "vm") edits.set(nameOf(change), change);
  return {
    vniOf: (name) => networks.find(name)?.vni,
    findVm: (name) => {
      const edit = edits.get(name);
      return edit ? (edit.before ?? undefined) : after.findVm(name);
    },
  };
}

function places(vm: Vm, side: Side): Place[] {
  return vm.interfaces.flatMap((each) => {
    const vni = side.vniOf(each.network);
    if (vni === undefined) return [];
    const { mac, router, allowedAddresses } = each;
    const port = portOf(each, side);
    const told = {
      mac,
      ...(port === undefined ? {} : { port }),
      ...(router ? { router } : {}),
      ...(allowedAddresses ? { allowedAddresses } : {}),
    };
    return keysOf(each, vni).map((key) => ({ key, host: vm.host, interface: told }));
  });
}

type ChangedKeys = Map<string, { key: BindingKey; hosts: Set<string>; created: boolean }>;

function* changedKeys(
  after: Inventory,
  { earlier, later }: { readonly earlier: Side; readonly later: Side },
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

const nameOf = ({ before, after }: VmChange): string => (after ?? before)?.name ?? "";

type Visibility = Pick<BindingChanges, "joined" | "gone">;

function* visibilityChanges(
  after: Inventory,
  before: NetworksBefore,
  changes: readonly ResourceChange[],
): Steps<Visibility> {
  const joined = new HostVnis();
  const gone = new HostVnis();
  for (const { host, vni, step } of yield* relationSteps(after, before, changes)) {
    const network = after.findNetworkByVni(vni);
    const now = network ? countRelations(after, { host, network: network.name }) : 0;
    if (now > 0 && now - step === 0) joined.add(host, vni);
    if (now === 0 && step < 0) gone.add(host, vni);
  }
  return { joined, gone };
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

export function redefinedIn(places: Iterable<ResourceChange>): Network[] {
  const redefined: Network[] = [];
  for (const change of places) {
    if (change.kind === "network" && change.after && !sameForAgents(change.before, change.after)) {
      redefined.push(change.after);
    }
  }
  return redefined;
}

function sameForAgents(before: Network | null, after: Network): boolean {
  const now = agentNetwork(after);
  return before !== null && isDeepStrictEqual({ ...agentNetwork(before), revision: now.revision }, now);
}
