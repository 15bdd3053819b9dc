// What is read of the changes of one revision: of an array, and of VMs that are records.
import { expect, test } from "vitest";
import { placesIn, replacementsIn, StagedChanges } from "../../controller/inventory/changes.ts";
import type { ResourceChange } from "../../schema/events/index.ts";

const change = (kind: "network" | "host" | "vm", name: string, isNew: boolean): ResourceChange => {
  const resource = { name, ...(kind === "vm" ? { interfaces: [] } : {}) };
  return { kind, before: isNew ? null : resource, after: resource } as unknown as ResourceChange;
};
const network = change("network", "blue", true);
const host = change("host", "a", false);
const created = change("vm", "new", true);
const updated = change("vm", "old", false);
const namesOf = (changes: Iterable<ResourceChange>): string[] =>
  [...changes].map(({ before, after }) => (after ?? before)?.name ?? "");

/** Fails where VMs are read. */
const unread = { [Symbol.iterator]: () => expect.unreachable("VMs were read") } as never;

test("networks and hosts of an array of changes are those that are no VMs", () => {
  expect(namesOf(placesIn([network, created, host, updated]))).toEqual(["blue", "a"]);
});

test("replacements are the changes of what was there", () => {
  expect(namesOf(replacementsIn([network, created, host, updated]))).toEqual(["a", "old"]);
});

test("VMs that are records are not read for networks and hosts, nor for replacements where all are new", () => {
  const staged = new StagedChanges([network, host], { records: unread, changed: 2, replaced: 0 });
  expect(staged).toHaveLength(4);
  expect(namesOf(placesIn(staged))).toEqual(["blue", "a"]);
  expect(namesOf(replacementsIn(staged))).toEqual(["a"]);
});

test("VMs that are records are read where some were there", () => {
  const records = [created, updated].map((each) => JSON.stringify({ before: each.before, after: each.after }));
  const staged = new StagedChanges([host], { records: records as never, changed: 2, replaced: 1 });
  expect(namesOf(replacementsIn(staged))).toEqual(["a", "old"]);
});
