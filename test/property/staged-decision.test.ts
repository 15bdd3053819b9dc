// A change set that is decided over records on disk has the outcome of one that is decided over objects: the same refusals of the same
// lines, the same results, the same changes in the same order.
import { tmpdir } from "node:os";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressPools } from "../../controller/inventory/address-pools.ts";
import { type DecisionListener, decideSteps, leavesAddress, type Mutation } from "../../controller/inventory/decide.ts";
import type { DecisionContext } from "../../controller/inventory/decision-context.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Spool } from "../../controller/store/spool.ts";
import { localMac, parseRevision } from "../../schema/address/index.ts";
import { parseVm } from "../../schema/rest/index.ts";
import { runs } from "../support/property-runs.ts";
import { asLines, Driven, furnished, someChangeSets, someMutations } from "./inventory-model.ts";

/** Some leave their addresses to the controller. */
const someOpen = fc.constantFrom("v3", "v4").map(
  (name): Mutation => ({
    kind: "vm.put",
    spec: parseVm(name, { host: "a", interfaces: [{ network: "blue" }, { network: "red" }] }),
  }),
);

const someLines = fc
  .array(fc.oneof({ weight: 5, arbitrary: someMutations }, { weight: 1, arbitrary: fc.tuple(someOpen) }), {
    minLength: 3,
    maxLength: 12,
  })
  .map(asLines);

function outcomeOf(state: Inventory, lines: readonly Mutation[], draft: Draft, context: Partial<DecisionContext>) {
  let uids = 0;
  let macs = 0;
  const heard: unknown[] = [];
  const listener: DecisionListener = {
    refused: ({ type, message }, mutation) => heard.push([mutation, type, message]),
    laid: ({ number }, result) => heard.push([number, result]),
  };
  const newMac = () => localMac(Uint8Array.of(2, 0, 0, 0, 0, ++macs));
  atOnce(
    decideSteps(
      draft,
      { mutations: lines.map((mutation, i) => ({ mutation, number: 2 * i + 1 })), assigns: lines.some(leavesAddress) },
      {
        revision: parseRevision(1_000),
        newUid: () => `uid-${++uids}`,
        addresses: { pools: new AddressPools(state), newMac, nowMs: 0 },
        ...context,
      },
      listener,
    ),
  );
  return { heard, changes: [...draft.changes()], length: draft.changes().length };
}

const someContext = fc.constantFrom<Partial<DecisionContext>>(
  {},
  {},
  { scope: new Set(["blue"]) },
  { scope: new Set(["blue", "red"]), hosts: new Set(["a", "b"]) },
  { scope: new Set(["blue", "red"]), quota: { vms: 2, addresses: 3, hosts: 1, vmsPerHost: 1 } },
);

test("is decided over records as over objects", () =>
  fc.assert(
    fc.property(
      someChangeSets,
      someLines,
      someContext,
      fc.constantFrom(0, 1_048_576),
      (before, lines, context, memoryBytes) => {
        const driven = new Driven();
        const { state } = driven;
        for (const mutations of [furnished, ...before.slice(0, 8)]) driven.apply(mutations);
        const spool = new Spool({ directory: tmpdir(), memoryBytes });
        const plain = outcomeOf(state, lines, new Draft(state, context.scope), context);
        const staged = outcomeOf(state, lines, new Draft(state, context.scope, spool), context);
        expect(staged).toEqual(plain);
        spool.close();
      },
    ),
    { numRuns: runs(400) },
  ));
