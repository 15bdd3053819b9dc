// How lists are searched: by the index that leaves the fewest to look at, in the order of names.
import { describe, expect, test } from "vitest";
import { NamedIndex } from "../../controller/inventory/named-index.ts";
import {
  countUnited,
  fewest,
  NameGroups,
  type Names,
  sortedNames,
  unitedNames,
} from "../../controller/inventory/names.ts";
import { candidates, fitsVm, vmsWith, withLabels } from "../../controller/inventory/search.ts";
import { parseSelector } from "../../schema/plain/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { ip, mac } from "../support/addresses.ts";
import { changesOf, host, network, nic, stateOf, vm } from "../support/decisions.ts";

const listed = (names: Names, from = "") => [...names.from(from)];
const groupOf = (...names: string[]): Names => {
  const groups = new NameGroups();
  for (const name of names) groups.add("all", name);
  return groups.in("all");
};
/** As an index of its own, whose names are not looked at. */
const untouched = (size: number): Names => ({
  size,
  from: () => {
    throw new Error("looked at");
  },
});

describe("names of a group", () => {
  test.each([
    ["none", [], []],
    ["one", ["b"], ["b"]],
    ["several", ["c", "a", "b", "a"], ["a", "b", "c"]],
  ])("are in order, each once: %s", (_, added, expected) => {
    const names = groupOf(...added);
    expect([names.size, listed(names)]).toEqual([expected.length, expected]);
  });

  test.each([[["b"]], [["b", "a", "c"]]])("begin with the one that is asked for, or the next: %j", (added) => {
    const names = groupOf(...added);
    const from = (first: string) => listed(names, first);
    const all = [...added].sort();
    expect(from("b")).toEqual(all.filter((name) => name >= "b"));
    expect(from("aa")).toEqual(all.filter((name) => name >= "aa"));
    expect(from("d")).toEqual([]);
  });

  test("leave it one by one, and another group is another", () => {
    const groups = new NameGroups();
    for (const name of ["a", "b", "c"]) groups.add("x", name);
    groups.add("y", "a");
    groups.delete("x", "b");
    groups.delete("x", "z");
    groups.delete("y", "z");
    groups.delete("z", "a");
    expect([listed(groups.in("x")), listed(groups.in("y")), listed(groups.in("z"))]).toEqual([["a", "c"], ["a"], []]);
    groups.delete("x", "a");
    groups.delete("x", "c");
    groups.delete("y", "a");
    expect([groups.in("x").size, groups.in("y").size]).toEqual([0, 0]);
  });
});

describe("lists of names", () => {
  test("of a map are sorted, from a name on", () => {
    const names = sortedNames(new Map(["c", "a", "b"].map((name) => [name, 1])));
    expect([names.size, listed(names), listed(names, "b"), listed(names, "bb")]).toEqual([
      3,
      ["a", "b", "c"],
      ["b", "c"],
      ["c"],
    ]);
  });

  test("are united in order, each name once", () => {
    const united = unitedNames([groupOf("a", "d"), groupOf("b", "d"), groupOf(), groupOf("c", "a")]);
    expect([listed(united), listed(united, "b"), listed(united, "z")]).toEqual([
      ["a", "b", "c", "d"],
      ["b", "c", "d"],
      [],
    ]);
    expect(countUnited([groupOf("a", "d"), groupOf("b", "d"), groupOf(), groupOf("c", "a")])).toBe(4);
  });

  test("that are united cost a comparison with each other, unless only one has any", () => {
    expect(unitedNames([groupOf("a", "b"), groupOf("b"), groupOf()]).size).toBe(6);
    expect(unitedNames([]).size).toBe(0);
    const only = groupOf("a", "b");
    expect(unitedNames([groupOf(), only])).toBe(only);
    expect([countUnited([groupOf(), untouched(2)]), countUnited([groupOf()]), countUnited([])]).toEqual([2, 0, 0]);
  });

  test("that all contain what fits: the shortest is searched, the first among equals", () => {
    const [long, short, other] = [untouched(3), untouched(1), untouched(1)];
    expect(fewest([long, short])).toBe(short);
    expect(fewest([short, long])).toBe(short);
    expect(fewest([short, other])).toBe(short);
  });
});

describe("an index of resources", () => {
  const item = (name: string, labels = {}) => ({ name, labels });
  const indexOf = (...items: ReturnType<typeof item>[]) => {
    const index = new NamedIndex<ReturnType<typeof item>>();
    for (const each of items) index.set(each);
    return index;
  };

  test("finds by label, with a value or with any", () => {
    const index = indexOf(
      item("a", { tier: "web" }),
      item("b", { tier: "db" }),
      item("c", { team: "web" }),
      item("d", { tier: "" }),
    );
    expect(listed(index.labelled("tier"))).toEqual(["a", "b", "d"]);
    expect(listed(index.labelled("tier", "web"))).toEqual(["a"]);
    expect(listed(index.labelled("tier", ""))).toEqual(["d"]);
    expect(listed(index.labelled("team"))).toEqual(["c"]);
    expect(listed(index.labelled("other"))).toEqual([]);
  });

  test("follows labels that change, come and go", () => {
    const index = indexOf(item("a", { tier: "web", team: "x" }), item("b", { tier: "web" }));
    index.set(item("a", { tier: "db", team: "x", new: "" }));
    const found = () =>
      [["tier"], ["tier", "web"], ["tier", "db"], ["team"], ["team", "x"], ["new"]].map(([key = "", value]) =>
        listed(index.labelled(key, value)),
      );
    expect(found()).toEqual([["a", "b"], ["b"], ["a"], ["a"], ["a"], ["a"]]);
    index.set(item("a"));
    expect(found()).toEqual([["b"], ["b"], [], [], [], []]);
    index.delete("b");
    expect(found()).toEqual([[], [], [], [], [], []]);
    expect([index.size, index.get("a"), index.get("b")]).toEqual([1, item("a"), undefined]);
  });

  test("is read in order, from a name on", () => {
    const index = indexOf(item("c"), item("a"), item("b"));
    index.delete("b");
    expect([...index.from("aa")]).toEqual(["c"]);
    expect([...index.entries("b")]).toEqual([["c", item("c")]]);
    expect(index.list().map(({ name }) => name)).toEqual(["a", "c"]);
  });

  test("is searched through a shorter list if there is one, else itself, and says what stands behind each name", () => {
    const index = indexOf(item("a"), item("b"), item("c"));
    expect([...candidates(index, [groupOf("b", "z")], "a")]).toEqual([
      ["b", item("b")],
      ["z", undefined],
    ]);
    expect([...candidates(index, [untouched(3)], "b")]).toEqual([
      ["b", item("b")],
      ["c", item("c")],
    ]);
  });

  test("is of use for labels that are there or equal, not for those that are absent or differ", () => {
    const index = indexOf(item("a", { tier: "web" }), item("b", { tier: "db" }), item("c"));
    const lists = (selector: string) => withLabels(index, parseSelector(selector)).map((names) => listed(names));
    expect(lists("tier")).toEqual([["a", "b"]]);
    expect(lists("tier=web")).toEqual([["a"]]);
    expect(lists("!tier,tier!=web")).toEqual([]);
    expect(lists("tier=db,tier,!team")).toEqual([["b"], ["a", "b"]]);
  });
});

describe("VMs without interfaces", () => {
  test("are listed under the first of their owners, wherever they move, until they have interfaces", () => {
    const state = stateOf(network("blue", 100), network("red", 200), host("a", "192.0.2.1"), host("b", "192.0.2.2"));
    const change = (...mutations: Parameters<typeof changesOf>[1]) => state.apply(changesOf(state, mutations));
    const owned = () => ["blue", "red"].map((name) => listed(state.unattachedVmNamesOf(name)));
    change(vm("v1", "a", [], { ownerNetworks: ["blue", "red"] }), vm("v2", "a", []));
    expect(owned()).toEqual([["v1"], []]);
    change(vm("v1", "b", []));
    expect(owned()).toEqual([["v1"], []]);
    change(vm("v1", "b", [], { ownerNetworks: ["red"] }));
    expect(owned()).toEqual([[], ["v1"]]);
    change(vm("v1", "b", [nic(1)]));
    expect([owned(), listed(state.vmNamesIn("blue"))]).toEqual([[[], []], ["v1"]]);
    change({ kind: "vm.delete", name: "v1" }, { kind: "vm.delete", name: "v2" });
    expect([owned(), listed(state.vmNamesIn("blue"))]).toEqual([[[], []], []]);
  });
});

describe("VMs that are sought", () => {
  const state = stateOf(
    network("blue", 100),
    network("red", 200),
    host("a", "192.0.2.1"),
    host("b", "192.0.2.2"),
    vm("v1", "a", [nic(1), nic(2, "red")], { labels: { tier: "web" } }),
    vm("v2", "b", [nic(2)]),
    vm("v3", "b", [nic(1, "red", { mac: "52:54:00:00:00:09" })]),
  );
  const lists = (sought: Partial<Parameters<typeof vmsWith>[1]>) =>
    vmsWith(state, { labels: [], ...sought }).map((names) => listed(names));
  const fitting = (sought: Parameters<typeof fitsVm>[1]) =>
    state
      .listVms()
      .filter((each: Vm) => fitsVm(each, sought))
      .map(({ name }) => name);

  test("are found by network, host, address and labels, each by a list of its own", () => {
    expect(lists({})).toEqual([]);
    expect(lists({ network: "red" })).toEqual([["v1", "v3"]]);
    expect(lists({ host: "b" })).toEqual([["v2", "v3"]]);
    expect(lists({ ip: ip("10.0.0.1") })).toEqual([["v1", "v3"]]);
    expect(lists({ mac: mac("52:54:00:00:00:02") })).toEqual([["v1", "v2"]]);
    expect(lists({ ip: ip("10.0.0.1"), mac: mac("52:54:00:00:00:02") })).toEqual([["v1", "v2", "v3"]]);
    expect(lists({ ip: ip("10.0.0.9") })).toEqual([[]]);
    expect(lists({ network: "blue", host: "a", labels: parseSelector("tier") })).toEqual([
      ["v1"],
      ["v1", "v2"],
      ["v1"],
    ]);
  });

  test("fit if one interface has all that is asked of it, on the host that is asked for", () => {
    expect(fitting({})).toEqual(["v1", "v2", "v3"]);
    expect(fitsVm({ ...(state.findVm("v1") as Vm), interfaces: [] }, {})).toBe(true);
    expect(fitting({ host: "b" })).toEqual(["v2", "v3"]);
    expect(fitting({ network: "red" })).toEqual(["v1", "v3"]);
    expect(fitting({ ip: ip("10.0.0.2") })).toEqual(["v1", "v2"]);
    expect(fitting({ network: "red", ip: ip("10.0.0.2") })).toEqual(["v1"]);
    expect(fitting({ network: "blue", ip: ip("10.0.0.2") })).toEqual(["v2"]);
    expect(fitting({ mac: mac("52:54:00:00:00:02") })).toEqual(["v1", "v2"]);
    expect(fitting({ host: "b", mac: mac("52:54:00:00:00:02") })).toEqual(["v2"]);
    expect(fitting({ ip: ip("10.0.0.1"), mac: mac("52:54:00:00:00:02") })).toEqual([]);
    expect(fitting({ ip: ip("10.0.0.1"), mac: mac("52:54:00:00:00:09") })).toEqual(["v3"]);
  });
});
