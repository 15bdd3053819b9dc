import { describe, expect, test } from "vitest";
import { migratedTo, movesIn } from "../../controller/inventory/vm-moves.ts";
import { changesOf, host, network, nic, stateOf, vm } from "../support/decisions.ts";

const state = stateOf(
  network("blue", 100),
  ...["a", "b", "c"].map((name, n) => host(name, `192.0.2.${n + 1}`)),
  ...["one", "two", "three"].map((name, n) => vm(name, "a", [nic(n + 1)])),
);
state.apply(changesOf(state, [{ kind: "vm.prepare", name: "two", host: "c" }]));
const to = (name: string, on: string) => ({ kind: "vm.patch", name, patch: { host: on } }) as const;

describe("VMs that are written", () => {
  test("have a before and an after: none that is created or deleted, and no other kind", () => {
    const changes = changesOf(state, [
      to("one", "b"),
      vm("four", "a", [nic(4)]),
      { kind: "vm.delete", name: "three" },
      { kind: "host.patch", name: "c", patch: { down: true } },
    ]);
    expect(changes.map(({ kind }) => kind).sort()).toEqual(["host", "vm", "vm", "vm"]);
    expect(movesIn(changes).map(({ before, after }) => [after.name, before.host, after.host])).toEqual([
      ["one", "a", "b"],
    ]);
  });

  test("have migrated if their new host was prepared for them", () => {
    expect([...migratedTo(movesIn(changesOf(state, [to("one", "b"), to("two", "c")])))]).toEqual(["c"]);
    expect([...migratedTo(movesIn(changesOf(state, [to("two", "b")])))]).toEqual([]);
  });
});
