import { describe, expect, test } from "vitest";
import { Confirmations } from "../../controller/agents/confirmations.ts";
import { holdersOf } from "../../controller/agents/holders.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { Driven, furnished } from "../property/inventory-model.ts";

describe("confirmations", () => {
  test("count each host once, and only hosts that must confirm", () => {
    const all = new Confirmations(["a", "b", "a"]);
    expect(all.counts).toEqual({ confirmed: 0, of: 2, slowestMs: null });
    expect(all.confirm({ host: "a", ms: 9 })).toBe(true);
    expect(all.confirm({ host: "a", ms: 12 })).toBe(false);
    expect(all.confirm({ host: "c", ms: 99 })).toBe(false);
    expect(all.counts).toEqual({ confirmed: 1, of: 2, slowestMs: 9 });
    expect(all.unconfirmed).toEqual(["b"]);
  });

  test("name the slowest of those that confirmed, in whatever order they came", () => {
    const all = new Confirmations(["a", "b"]);
    all.confirm({ host: "b", ms: 9 });
    all.confirm({ host: "a", ms: 3 });
    expect(all.counts).toEqual({ confirmed: 2, of: 2, slowestMs: 9 });
    expect(all.unconfirmed).toEqual([]);
  });

  test("do not wait for a deleted host, and keep its earlier confirmation", () => {
    const all = new Confirmations(["a", "b", "c"]);
    all.confirm({ host: "a", ms: 1 });
    all.forget("a");
    all.forget("b");
    expect(all.counts).toEqual({ confirmed: 1, of: 2, slowestMs: 1 });
    expect(all.unconfirmed).toEqual(["c"]);
  });
});

describe("the holders of a VM that moves", () => {
  const vni = parseVni(100);
  const ip: BindingKey = { kind: "ip", vni, ip: parseIp("10.0.0.1") };
  const mac: BindingKey = { kind: "mac", vni, mac: parseMac("52:54:00:00:00:01") };
  const moved = (host: string) => {
    const world = new Driven();
    world.apply(furnished);
    const before = world.state.findVm("v1") as Vm;
    world.apply([{ kind: "vm.patch", name: "v1", patch: { host } }]);
    return { state: world.state, moves: [{ before, after: world.state.findVm("v1") as Vm }] };
  };
  const declared = (...hosts: string[]) => {
    const interest = new InterestIndex();
    for (const host of hosts) interest.markDeclared(host);
    return interest;
  };

  test("are the old and the new host, whether they asked or not", () => {
    const { state, moves } = moved("b");
    expect([...holdersOf(state, declared("a", "b", "c"), moves)].sort()).toEqual(["a", "b"]);
  });

  test.each([ip, mac])("are all hosts that have received one of its addresses, connected or not: $kind", (key) => {
    const { state, moves } = moved("b");
    const interest = declared("a", "b", "c");
    interest.hold("c", key, true, true);
    expect([...holdersOf(state, interest, moves)].sort()).toEqual(["a", "b", "c"]);
    interest.release("c", key);
    expect([...holdersOf(state, interest, moves)].sort()).toEqual(["a", "b"]);
  });

  test("are also the hosts in its networks that have not declared their interest, and no others", () => {
    const { state, moves } = moved("a");
    // c has no VM in the network, so its kernel has no device of it.
    expect([...holdersOf(state, declared("a"), moves)].sort()).toEqual(["a", "b"]);
    expect([...holdersOf(state, declared("a", "b"), moves)]).toEqual(["a"]);
  });

  test("are never deleted hosts", () => {
    const { state, moves } = moved("b");
    const interest = declared("a", "b", "c");
    interest.hold("c", ip, true, true);
    state.apply([{ kind: "host", before: state.findHost("c") ?? null, after: null }]);
    expect([...holdersOf(state, interest, moves)].sort()).toEqual(["a", "b"]);
  });
});
