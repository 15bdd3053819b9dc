// Lists by any index, against a plain filter over everything.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type InventoryView, viewFor, viewWithin } from "../../controller/auth/view.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { countUnited, NameGroups, unitedNames } from "../../controller/inventory/names.ts";
import { pageOf } from "../../controller/inventory/page.ts";
import { narrowVm } from "../../controller/inventory/scope.ts";
import { fitsVm, type VmsSought } from "../../controller/inventory/search.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { countByHost } from "../../controller/observe/vm-counts.ts";
import { parseIp, parseMac, parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { fitsSelector } from "../../schema/plain/index.ts";
import { type NetworkScope, parseHost, parseNetwork, parseVm, type Vm } from "../../schema/rest/index.ts";
import { runs } from "../support/property-runs.ts";

const networks = ["blue", "green", "red"];
const hosts = ["a", "b", "c"];
const macs = [1, 2, 3, 4].map((n) => `52:54:00:00:00:0${n}`);
const ips = [1, 2, 3, 4].map((n) => `10.0.0.${n}`);
const keys = ["tier", "team", "constructor"];
const values = ["", "web", "db"];
const stamp = { uid: "u", revision: parseRevision(1) };

const labels = fc.dictionary(fc.constantFrom(...keys), fc.constantFrom(...values), { maxKeys: 3 });
const attached = fc.record({
  network: fc.constantFrom(...networks),
  mac: fc.constantFrom(...macs),
  ips: fc.uniqueArray(fc.constantFrom(...ips), { maxLength: 2 }),
});
const owners = fc.uniqueArray(fc.constantFrom(...networks), { maxLength: 2 });
/** Names that begin alike and names that do not. */
const vmName = fc.stringMatching(/^[a-c]{1,3}$/);
const someVm = fc
  .record({
    name: vmName,
    host: fc.constantFrom(...hosts),
    labels,
    interfaces: fc.array(attached, { maxLength: 3 }),
    owners,
  })
  .map(({ name, owners: ownerNetworks, ...body }) => {
    const owned = body.interfaces.length === 0 && ownerNetworks.length > 0 ? { ownerNetworks } : {};
    return { ...parseVm(name, { ...body, ...owned }), ...stamp } as Vm;
  });

const term = fc.record({
  key: fc.constantFrom(...keys),
  kind: fc.constantFrom("present" as const, "absent" as const, "equals" as const, "differs" as const),
  value: fc.constantFrom(...values),
});
/** A token, or a host by its certificate. */
type Seer = { readonly kind: "token"; readonly scope: NetworkScope } | { readonly kind: "host"; readonly name: string };
const someScope: fc.Arbitrary<NetworkScope> = fc.oneof(
  fc.constant("all" as const),
  fc.uniqueArray(fc.constantFrom(...networks, "unmade"), { minLength: 1 }).map((names) => new Set(names)),
);
const seer: fc.Arbitrary<Seer> = fc.oneof(
  { weight: 3, arbitrary: someScope.map((scope) => ({ kind: "token" as const, scope })) },
  { weight: 1, arbitrary: fc.constantFrom(...hosts).map((name) => ({ kind: "host" as const, name })) },
);

function viewOf(seer: Seer, state: Inventory): InventoryView {
  if (seer.kind === "token") return viewWithin(seer.scope, state);
  return viewFor({ ...seer, uid: "u", generation: 0, key: "", issuer: "", expiresMs: 0 }, state);
}

const seenBy = (seer: Seer, state: Inventory): Vm[] =>
  state.listVms().flatMap((vm) => {
    if (seer.kind === "host") return vm.host === seer.name ? vm : [];
    return narrowVm(seer.scope, vm) ?? [];
  });

const sought = fc.record(
  {
    labels: fc.array(term, { maxLength: 3 }),
    network: fc.constantFrom(...networks),
    host: fc.constantFrom(...hosts),
    ip: fc.constantFrom(...ips.map(parseIp)),
    mac: fc.constantFrom(...macs.map(parseMac)),
  },
  { requiredKeys: ["labels"] },
);
const question = fc.record({
  sought,
  seer,
  prefix: fc.oneof({ weight: 3, arbitrary: fc.constant("") }, { weight: 1, arbitrary: vmName }),
  limit: fc.integer({ min: 1, max: 4 }),
});

/** Puts the VMs one after the other, then deletes some: an address in use moves to the latest VM. */
function world(puts: readonly Vm[], deleted: readonly string[]): CommittedInventory {
  const state = new CommittedInventory();
  const apply = (...changes: ResourceChange[]) => state.apply(changes);
  for (const [i, name] of networks.entries()) {
    const network = parseNetwork(name, { vni: i + 1, subnets: ["10.0.0.0/24"] });
    apply({ kind: "network", before: null, after: { ...network, ...stamp } });
  }
  for (const [i, name] of hosts.entries()) {
    const host = parseHost(name, { vtep: `192.0.2.${i + 1}` }, "operator");
    apply({ kind: "host", before: null, after: { ...host, ...stamp } });
  }
  for (const after of puts) {
    const rivals = state.listVms().filter((vm) => vm.name !== after.name && collide(vm, after));
    for (const before of rivals) apply({ kind: "vm", before, after: null });
    apply({ kind: "vm", before: state.findVm(after.name) ?? null, after });
  }
  for (const name of deleted) {
    const before = state.findVm(name);
    if (before) apply({ kind: "vm", before, after: null });
  }
  return state;
}

function collide(one: Vm, other: Vm): boolean {
  return one.interfaces.some((a) =>
    other.interfaces.some(
      (b) => a.network === b.network && (a.mac === b.mac || a.ips.some((ip) => b.ips.includes(ip))),
    ),
  );
}

/** No interface of it has an address of another of its interfaces. */
function isConsistent(vm: Vm): boolean {
  return vm.interfaces.every((each, i) =>
    vm.interfaces.every(
      (other, j) => i === j || !collide({ ...vm, interfaces: [each] }, { ...vm, interfaces: [other] }),
    ),
  );
}

/** All pages, one behind the other. */
function listed(view: InventoryView, { sought, prefix, limit }: { sought: VmsSought; prefix: string; limit: number }) {
  const pages: (readonly Vm[])[] = [];
  let after: string | undefined;
  do {
    const listing = { from: (name: string) => view.vmsFrom(sought, name), fits: (vm: Vm) => fitsVm(vm, sought) };
    const request = { prefix, labels: sought.labels, limit, ...(after === undefined ? {} : { after }) };
    const { items, last } = atOnce(pageOf(listing, request));
    pages.push(items);
    after = last;
  } while (after !== undefined);
  return pages;
}

const puts = fc.array(someVm.filter(isConsistent), { maxLength: 30, size: "max" });
const deleted = fc.array(vmName, { maxLength: 8 });

test("for any search, caller and inventory, the pages equal a filter over all VMs", () =>
  fc.assert(
    fc.property(puts, deleted, fc.array(question, { minLength: 1, maxLength: 8 }), (vms, gone, questions) => {
      const state = world(vms, gone);
      for (const { seer, ...question } of questions) {
        const { sought, prefix, limit } = question;
        const expected = seenBy(seer, state).filter(
          (vm) => vm.name.startsWith(prefix) && fitsSelector(vm.labels, sought.labels) && fitsVm(vm, sought),
        );
        const pages = listed(viewOf(seer, state), question);
        expect(pages.flat()).toEqual(expected);
        for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
      }
    }),
    { numRuns: runs(300) },
  ));

test("several lists merged have each name once, in order, from any start", () =>
  fc.assert(
    fc.property(fc.array(fc.array(vmName), { minLength: 1, maxLength: 4 }), vmName, (lists, from) => {
      const groups = new NameGroups();
      for (const [i, names] of lists.entries()) for (const name of names) groups.add(String(i), name);
      const together = lists.map((_, i) => groups.in(String(i)));
      const all = [...new Set(lists.flat())].sort();
      expect([...unitedNames(together).from(from)]).toEqual(all.filter((name) => name >= from));
      expect(countUnited(together)).toBe(all.length);
    }),
    { numRuns: runs(200) },
  ));

test("VMs are counted as the caller sees them, by host and in total", () =>
  fc.assert(
    fc.asyncProperty(puts, deleted, seer, fc.option(fc.constantFrom(...networks)), async (vms, gone, seer, network) => {
      const state = world(vms, gone);
      const view = viewOf(seer, state);
      const seen = seenBy(seer, state);
      expect(view.countVms()).toBe(seen.length);
      const within = seen.filter((vm) => network === null || vm.interfaces.some((each) => each.network === network));
      const counts = await countByHost(() => view, network ?? undefined);
      for (const host of hosts) expect(counts.get(host) ?? 0).toBe(within.filter((vm) => vm.host === host).length);
    }),
    { numRuns: runs(200) },
  ));

test("an export shows the state of its start, whatever changes while it is read", () =>
  fc.assert(
    fc.property(puts, puts, deleted, (vms, later, gone) => {
      const state = world(vms, []);
      const expected = state.listVms();
      const pinned = state.pin();
      const exported = pinned.vms.values()[Symbol.iterator]();
      const read: (Vm | undefined)[] = [];
      for (let i = 0; i < 3; i++) read.push(exported.next().value);
      for (const after of later) {
        const before = state.findVm(after.name) ?? null;
        state.apply([{ kind: "vm", before, after }]);
      }
      for (const name of gone) {
        const before = state.findVm(name);
        if (before) state.apply([{ kind: "vm", before, after: null }]);
      }
      for (let next = exported.next(); !next.done; next = exported.next()) read.push(next.value);
      pinned.release();
      expect(read.filter((vm) => vm !== undefined)).toEqual(expected);
    }),
    { numRuns: runs(100) },
  ));
