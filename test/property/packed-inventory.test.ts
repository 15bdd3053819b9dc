// The inventory with its rows, layers and pins against a model of plain lists, over random histories: what is committed, what is
// pending, and what is pinned can be asked everything at any moment.
import fc from "fast-check";
import { expect, test } from "vitest";
import { inverseOf } from "../../controller/inventory/changes.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { HashIndex } from "../../controller/inventory/packed/hash-index.ts";
import { Rows } from "../../controller/inventory/packed/rows.ts";
import type { PendingInventory } from "../../controller/inventory/pending-inventory.ts";
import { PinExpiredError, type PinnedInventory } from "../../controller/inventory/pinned-inventory.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { parseHost, parseNetwork, type Vm } from "../../schema/rest/index.ts";
import { ip, mac, rev } from "../support/addresses.ts";
import { aVm, labels, world } from "../support/arbitrary-vms.ts";
import { contentsOf, expectedContents } from "../support/inventory-contents.ts";
import { PlainInventory } from "../support/plain-inventory.ts";
import { runs } from "../support/property-runs.ts";

const aNetwork = fc
  .record({ name: fc.constantFrom("blue", "red"), subnet: fc.constantFrom("10.0.0.0/24", "10.0.0.0/16"), labels })
  .map(({ name, subnet, labels }) => ({
    ...parseNetwork(name, { vni: name === "blue" ? 100 : 200, subnets: [subnet], labels }),
    uid: `uid-${name}`,
    revision: rev(1),
  }));
const aHost = fc.record({ n: fc.constantFrom(0, 1, 2), labels }).map(({ n, labels }) => ({
  ...parseHost(["a", "b", "c"][n] ?? "", { vtep: world.vteps[n] ?? "", labels }, "operator"),
  uid: `uid-${n}`,
  revision: rev(1),
}));

interface Wanted {
  readonly networks: readonly ReturnType<typeof parseNetwork>[];
  readonly hosts: readonly ReturnType<typeof parseHost>[];
  readonly vms: readonly Vm[];
  readonly deleted: readonly string[];
}
const wanted = fc.record({
  networks: fc.uniqueArray(aNetwork, { maxLength: 2, selector: ({ name }) => name }),
  hosts: fc.uniqueArray(aHost, { maxLength: 2, selector: ({ name }) => name }),
  vms: fc.uniqueArray(aVm, { maxLength: 4, selector: ({ name }) => name }),
  deleted: fc.uniqueArray(fc.constantFrom("blue", "red", "a", "b", "v1", "v2", "v3", "v4", "v5"), { maxLength: 3 }),
});

const step = fc.record({
  sets: fc.array(wanted, { minLength: 1, maxLength: 3 }),
  /** What becomes of them: all are stored, shown in steps, or none is. */
  end: fc.constantFrom("stored", "stored", "arrives", "departs", "failed" as const),
  pins: fc.constantFrom<"pin" | "release" | "none">("pin", "release", "none"),
  /** Others write them while a change set arrives or departs, each behind one of its steps. */
  others: fc.array(fc.record({ wanted, isAhead: fc.boolean() }), { maxLength: 4 }),
});

type Other = { readonly wanted: Wanted; readonly isAhead: boolean };

/** Without VMs whose addresses another one has, which the rules would refuse. */
function changesFor(model: PlainInventory, { networks, hosts, vms, deleted }: Wanted): ResourceChange[] {
  const changes: ResourceChange[] = [];
  const gone = new Set(deleted);
  for (const after of networks)
    changes.push({ kind: "network", before: model.networks.get(after.name) ?? null, after } as ResourceChange);
  for (const after of hosts)
    changes.push({ kind: "host", before: model.hosts.get(after.name) ?? null, after } as ResourceChange);
  const touched = new Set([...changes.map(({ after }) => after?.name), ...vms.map(({ name }) => name)]);
  for (const name of gone) {
    if (touched.has(name)) continue;
    for (const [kind, resources] of [
      ["network", model.networks],
      ["host", model.hosts],
      ["vm", model.vms],
    ] as const) {
      const before = resources.get(name);
      if (before) changes.push({ kind, before, after: null } as ResourceChange);
      if (before) touched.add(name);
    }
  }
  const taken = new Set<string>();
  const addressesOf = (vm: Vm) =>
    vm.interfaces.flatMap(({ network, mac, ips }) => [mac, ...ips].map((at) => `${network} ${at}`));
  for (const vm of model.vms.values()) if (!touched.has(vm.name)) for (const at of addressesOf(vm)) taken.add(at);
  for (const after of vms) {
    const addresses = addressesOf(after);
    const before = model.vms.get(after.name) ?? null;
    const isFree = new Set(addresses).size === addresses.length && !addresses.some((at) => taken.has(at));
    if (isFree) changes.push({ kind: "vm", before, after });
    else if (before) changes.push({ kind: "vm", before, after: null });
    if (isFree) for (const at of addresses) taken.add(at);
  }
  return changes;
}

const namesIn = (changes: readonly ResourceChange[]): Set<string> =>
  new Set(changes.map(({ kind, before, after }) => `${kind} ${(after ?? before)?.name}`));
const addressesIn = (changes: readonly ResourceChange[]): string[] =>
  changes.flatMap((change) =>
    change.kind === "vm"
      ? (change.after?.interfaces ?? []).flatMap(({ network, mac, ips }) =>
          [mac, ...ips].map((at) => `${network} ${at}`),
        )
      : [],
  );

/** One of the wanted changes, if it touches no name and no address of the change set. */
function otherChange(model: PlainInventory, wanted: Wanted, changes: readonly ResourceChange[]): ResourceChange[] {
  const names = namesIn(changes);
  const addresses = new Set(addressesIn(changes));
  const candidates = [
    ...wanted.vms.map((vm) => ({ networks: [], hosts: [], vms: [vm], deleted: [] })),
    ...wanted.networks.map((network) => ({ networks: [network], hosts: [], vms: [], deleted: [] })),
    ...wanted.hosts.map((host) => ({ networks: [], hosts: [host], vms: [], deleted: [] })),
    ...wanted.deleted.map((name) => ({ networks: [], hosts: [], vms: [], deleted: [name] })),
  ];
  for (const each of candidates) {
    const found = changesFor(model, each);
    const isApart = ![...namesIn(found)].some((name) => names.has(name));
    if (found.length === 1 && isApart && !addressesIn(found).some((at) => addresses.has(at))) return found;
  }
  return [];
}

class History {
  readonly committed = new CommittedInventory();
  readonly pending: PendingInventory = this.committed.fork();
  model = new PlainInventory();
  /** Of `pending`. */
  private ahead = this.model;
  private readonly pins: { readonly pinned: PinnedInventory; readonly model: PlainInventory }[] = [];

  /** Others have written while a change set arrived: lists by host or network are in another order than the model's. */
  private isMixed = false;

  run({ sets, end, pins, others }: typeof step extends fc.Arbitrary<infer Step> ? Step : never): void {
    if (pins === "pin") this.pins.push({ pinned: this.committed.pin(), model: this.model.copy() });
    if (pins === "release") this.pins.shift()?.pinned.release();
    if (end === "arrives" || end === "departs") {
      for (const set of sets.slice(0, 1)) this.arrive(changesFor(this.model, set), end, [...others]);
      return;
    }
    this.ahead = this.model.copy();
    const decided: (readonly ResourceChange[])[] = [];
    for (const set of sets) {
      const changes = changesFor(this.ahead, set);
      this.pending.apply(changes);
      this.ahead.apply(changes);
      decided.push(changes);
      this.check();
    }
    for (const changes of end === "failed" ? decided.toReversed() : decided) this.end(changes, end);
    if (end === "failed") this.ahead = this.model.copy();
    this.check();
    expect(this.pending.layer).toBeUndefined();
  }

  private end(changes: readonly ResourceChange[], end: string): void {
    if (end === "failed") {
      this.pending.revert(changes);
      return;
    }
    this.committed.apply(changes);
    this.model.apply(changes);
    this.check();
  }

  private arrive(changes: readonly ResourceChange[], end: "arrives" | "departs", others: Other[]): void {
    this.watch(this.committed.arriveSteps(changes), changes, others);
    if (end === "arrives") {
      this.model.apply(changes);
      this.committed.show();
    } else {
      const departing = this.committed.departSteps(changes);
      // Where VMs are listed in the order in which they came, those that were taken back have come last.
      const before = this.model.copy();
      before.apply(changes);
      before.apply([...inverseOf(changes)]);
      this.watch(departing, changes, others);
      if (others.length === 0 && !this.isMixed) this.model = before;
    }
    this.ahead = this.model;
    this.check();
  }

  /** Nothing of it is published, and what others write is. */
  private watch(steps: Iterable<void>, changes: readonly ResourceChange[], others: Other[]): void {
    for (const _ of steps) {
      this.checkPublished();
      this.pins.push({ pinned: this.committed.pin(), model: this.model.copy() });
      if (this.pins.length > 3) this.pins.shift()?.pinned.release();
      const other = others.shift();
      if (other) this.writeBeside(otherChange(this.model, other.wanted, changes), other.isAhead);
    }
  }

  private writeBeside(changes: readonly ResourceChange[], isAhead: boolean): void {
    this.isMixed ||= changes.length > 0;
    const ahead = this.model.copy();
    ahead.apply(changes);
    if (isAhead) {
      this.pending.apply(changes);
      is(this.pending, ahead, "sorted");
      this.pending.revert(changes);
      is(this.pending, this.model, "sorted");
    }
    this.pending.apply(changes);
    this.committed.apply(changes);
    this.model = ahead;
    this.checkPublished();
    is(this.pending, this.model, "sorted");
  }

  private check(): void {
    this.checkPublished();
    is(this.pending, this.ahead, "sorted");
  }

  private checkPublished(): void {
    const { model } = this;
    is(this.committed, model, this.committed.layer || this.isMixed ? "sorted" : "as read");
    for (const { pinned, model } of this.pins) is(pinned, model, "sorted");
  }
}

function is(state: Inventory, model: PlainInventory, order: "as read" | "sorted"): void {
  expect(contentsOf(state, world, order)).toEqual(expectedContents(model, world, order));
}

test("agrees with the model: committed, pending, pinned, and while a change set arrives", () =>
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
      const history = new History();
      for (const each of steps) history.run(each);
    }),
    { numRuns: runs(60) },
  ));

test("a pinned inventory that is read slowly, while thousands of changes are made, is exactly that of its revision", () => {
  const committed = new CommittedInventory();
  const numbered = (n: number, revision: number): Vm => ({
    name: `vm-${String(n).padStart(5, "0")}`,
    host: ["a", "b"][(n + revision) % 2] ?? "",
    interfaces: [
      {
        name: "eth0",
        network: "blue",
        mac: mac(`52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`),
        ips: [ip(`10.0.${n >> 8}.${n & 255}`)],
      },
    ],
    labels: { tier: ["web", "db"][(n + revision) % 2] ?? "" },
    description: `at ${revision}`,
    uid: "00000000-0000-4000-8000-000000000000",
    revision: rev(revision),
  });
  const count = 2_000;
  const put = (n: number, revision: number): void => {
    const before = committed.findVm(numbered(n, 0).name) ?? null;
    committed.apply([{ kind: "vm", before, after: before && n % 3 === revision % 3 ? null : numbered(n, revision) }]);
  };
  for (let n = 0; n < count; n += 2) put(n, 1);
  const expected = committed.listVms();
  const pinned = committed.pin();
  const web = [...pinned.vms.labelled("tier", "web").from("")];
  let revision = 2;
  const read: Vm[] = [];
  for (const vm of pinned.vms.values()) {
    read.push(vm);
    for (let i = 0; i < 3; i++) put((revision * 911) % count, ++revision);
  }
  expect(read).toEqual(expected);
  expect([...pinned.vms.labelled("tier", "web").from("")]).toEqual(web);
  expect([pinned.vms.size, pinned.vmsOn("a").size, pinned.addressesIn("blue").size]).toEqual([
    expected.length,
    expected.filter(({ host }) => host === "a").length,
    expected.length,
  ]);
  expect(committed.listVms()).not.toEqual(expected);
});

test("a pinned inventory is let go when it is released or expires, and says so where it is read on", () => {
  const committed = new CommittedInventory();
  const ends: string[] = [];
  const [released, late] = ["released", "expired"].map((end) => committed.pin(() => ends.push(end)));
  expect(committed.pinCount).toBe(2);
  const reading = late?.vms.values();
  released?.release();
  late?.expire();
  late?.release();
  expect([committed.pinCount, ends]).toEqual([0, ["released", "expired"]]);
  expect(() => reading?.next()).toThrow(PinExpiredError);
  expect(() => late?.findVm("v1")).toThrow("ask for less at once, or try again");
  expect(() => released?.findVm("v1")).toThrow("was released");
});

/** All objects that can be reached. */
function* within(value: unknown, seen = new Set<unknown>()): Generator<object> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
  seen.add(value);
  yield value;
  for (const each of value instanceof Map ? value.values() : Object.values(value)) yield* within(each, seen);
}

/** VM number `n`, whose port others have too. */
const onTap1 = (name: string, n: number): Vm => ({
  name,
  host: "a",
  interfaces: [{ name: "eth0", network: "blue", mac: mac(`52:54:00:00:00:0${n}`), ips: [], port: "tap1" }],
  labels: {},
  description: "",
  uid: `00000000-0000-4000-8000-00000000000${n}`,
  revision: rev(n),
});

test.each([
  ["v1", "v2"],
  ["v2", "v1"],
])("of two interfaces with one port, as earlier versions took them, the other one stays when %s goes", (gone, left) => {
  const inventory = new CommittedInventory();
  const vms = new Map([onTap1("v1", 1), onTap1("v2", 2)].map((each) => [each.name, each]));
  const change = (before: Vm | null, after: Vm | null): ResourceChange[] => [{ kind: "vm", before, after }];
  for (const each of vms.values()) inventory.apply(change(null, each));
  inventory.apply(change(vms.get(gone) ?? null, null));
  expect(inventory.interfacesAt("a", "tap1").map(({ vm: { name } }) => name)).toEqual([left]);
  inventory.apply(change(vms.get(left) ?? null, null));
  expect(inventory.interfacesAt("a", "tap1")).toEqual([]);
});

test("interfaces with one port are in the order of their rows, also where one was given again", () => {
  const inventory = new CommittedInventory();
  const apply = (before: Vm | null, after: Vm | null) => inventory.apply([{ kind: "vm", before, after }]);
  for (const [n, name] of ["v1", "v2", "v3"].entries()) apply(null, onTap1(name, n));
  apply(onTap1("v1", 0), null);
  apply(null, onTap1("v4", 4));
  expect(inventory.interfacesAt("a", "tap1").map(({ vm: { name } }) => name)).toEqual(["v4", "v2", "v3"]);
});

test("nothing is left in any table when all is deleted, stored or not", () =>
  fc.assert(
    fc.property(fc.array(wanted, { maxLength: 6 }), (sets) => {
      const committed = new CommittedInventory();
      const pending = committed.fork();
      const model = new PlainInventory();
      const apply = (changes: readonly ResourceChange[]) => {
        pending.apply(changes);
        pending.revert(changes);
        pending.apply(changes);
        committed.apply(changes);
        model.apply(changes);
      };
      for (const set of sets) apply(changesFor(model, set));
      apply([...model.vms.values()].map((before): ResourceChange => ({ kind: "vm", before, after: null })));
      apply([...model.networks.values()].map((before): ResourceChange => ({ kind: "network", before, after: null })));
      apply([...model.hosts.values()].map((before): ResourceChange => ({ kind: "host", before, after: null })));
      const parts = [...within([committed, pending])];
      const rows = parts.filter((each) => each instanceof Rows).map(({ size }) => size);
      // Of hash indexes, and of the names that have an id.
      const indexes = parts.filter((each) => each instanceof HashIndex).map(({ size }) => size);
      const places = parts.filter((each) => "uses" in each && "name" in each);
      expect(rows.length).toBeGreaterThan(10);
      expect([rows, indexes, places]).toEqual([rows.map(() => 0), indexes.map(() => 0), []]);
      expect(JSON.stringify(contentsOf(committed, world))).toBe(
        JSON.stringify(contentsOf(new CommittedInventory(), world)),
      );
    }),
    { numRuns: runs(60) },
  ));
