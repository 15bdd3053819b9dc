import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { type Inventory, invert } from "../../controller/inventory/inventory.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { contentsOf } from "../support/inventory-contents.ts";
import { runs } from "../support/property-runs.ts";
import { breaches, Driven, furnished, smallWorld, someChangeSets } from "./inventory-model.ts";

const rebuilt = (state: Inventory) =>
  CommittedInventory.of({ networks: state.listNetworks(), hosts: state.listHosts(), vms: state.listVms() });

/** The order in which things came is not part of the state. */
const normal = (state: Inventory) => contentsOf(state, smallWorld, "sorted");

describe("any operations, in any order", () => {
  test("keep the rules of the data model", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        for (const mutations of [furnished, ...sets]) {
          driven.apply(mutations);
          expect(breaches(driven.state)).toEqual([]);
        }
      }),
      { numRuns: runs(300) },
    ));

  test("place no VM on a host that is marked down, except together with the mark", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        for (const mutations of [furnished, ...sets]) {
          const wasDown = new Set(driven.state.listHosts().flatMap(({ name, down }) => (down ? name : [])));
          for (const { kind, before, after } of driven.apply(mutations) ?? []) {
            if (kind !== "vm" || !after) continue;
            for (const role of ["host", "preparedHost"] as const) {
              const host = after[role];
              if (host === undefined || host === before?.[role] || !wasDown.has(host)) continue;
              expect(driven.state.findHost(host)?.down).toBeUndefined();
            }
          }
        }
      }),
      { numRuns: runs(200) },
    ));

  test("keep the indexes equal to those built from scratch", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        for (const mutations of [furnished, ...sets]) driven.apply(mutations);
        expect(normal(driven.state)).toEqual(normal(rebuilt(driven.state)));
      }),
      { numRuns: runs(200) },
    ));

  test("leave the inventory unchanged after a change set is undone", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        const before: unknown[] = [];
        const applied: (readonly ResourceChange[])[] = [];
        for (const mutations of [furnished, ...sets]) {
          const was = normal(driven.state);
          const changes = driven.apply(mutations);
          if (!changes) continue;
          before.push(was);
          applied.push(changes);
        }
        for (const changes of applied.toReversed()) {
          driven.state.apply(invert(changes));
          expect(normal(driven.state)).toEqual(before.pop());
        }
      }),
      { numRuns: runs(150) },
    ));

  test("leave the inventory unchanged after a refusal; the same request is refused again or changes nothing", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        for (const mutations of [furnished, ...sets]) {
          const was = normal(driven.state);
          if (driven.apply(mutations)) continue;
          expect(normal(driven.state)).toEqual(was);
          expect(driven.apply(mutations)).toBeUndefined();
        }
      }),
      { numRuns: runs(150) },
    ));

  test("give changed resources the new revision, and a uid that ends only with deletion", () =>
    fc.assert(
      fc.property(someChangeSets, (sets) => {
        const driven = new Driven();
        for (const mutations of [furnished, ...sets]) {
          for (const { before, after } of driven.apply(mutations) ?? []) {
            if (after) expect(after.revision).toBe(driven.revision);
            if (before && after) expect(after).not.toEqual(before);
          }
        }
      }),
      { numRuns: runs(150) },
    ));
});
