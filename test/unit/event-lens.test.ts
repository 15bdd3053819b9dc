// Events that pass a filter of the event stream, and their visible parts within a scope.
import { expect, test } from "vitest";
import { type EventFilter, Lens } from "../../controller/events/lens.ts";
import { parseMac, parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Network, type NetworkScope, parseHost, parseNetwork, type Vm } from "../../schema/rest/index.ts";

const meta = { uid: "u", revision: parseRevision(1) };
const network = (name: string): Network => ({ ...parseNetwork(name, { vni: 7, subnets: ["10.0.0.0/24"] }), ...meta });
const host = (name: string) => ({ ...parseHost(name, { vtep: "192.0.2.1" }, "operator"), ...meta });
const vm = (on: string, ...networks: string[]): Vm => ({
  name: "web",
  host: on,
  labels: {},
  description: "",
  interfaces: networks.map((each, i) => ({
    name: `eth${i}`,
    network: each,
    mac: parseMac(`52:54:00:00:00:0${i + 1}`),
    ips: [],
  })),
  ...meta,
});

const lens = (filter: Partial<EventFilter>, scope: NetworkScope = "all") =>
  new Lens(scope, { networks: [], hosts: [], types: [], ...filter });

const created: ResourceChange = { kind: "vm", before: null, after: vm("a", "blue") };
const moved: ResourceChange = { kind: "vm", before: vm("a", "blue"), after: vm("b", "blue") };
const rewired: ResourceChange = { kind: "vm", before: vm("a", "blue"), after: vm("a", "red") };
const deleted: ResourceChange = { kind: "vm", before: vm("a", "blue"), after: null };
const newNetwork: ResourceChange = { kind: "network", before: null, after: network("blue") };
const newHost: ResourceChange = { kind: "host", before: null, after: host("a") };
const all = { created, moved, rewired, deleted, newNetwork, newHost };

test.each<[string, Partial<EventFilter>, (keyof typeof all)[]]>([
  ["no filter", {}, ["created", "moved", "rewired", "deleted", "newNetwork", "newHost"]],
  ["a host", { hosts: ["a"] }, ["created", "moved", "rewired", "deleted", "newHost"]],
  ["the host that a VM moves to", { hosts: ["b"] }, ["moved"]],
  ["one of two hosts", { hosts: ["b", "c"] }, ["moved"]],
  ["a network", { networks: ["blue"] }, ["created", "moved", "rewired", "deleted", "newNetwork"]],
  ["the network that a VM enters", { networks: ["red"] }, ["rewired"]],
  ["a network and a host", { networks: ["red"], hosts: ["b"] }, []],
  ["a type", { types: ["nearmiss.vm.deleted"] }, ["deleted"]],
  ["the beginning of types", { types: ["nearmiss.vm"] }, ["created", "moved", "rewired", "deleted"]],
  ["types, of which one fits", { types: ["nearmiss.host", "nearmiss.network.created"] }, ["newNetwork", "newHost"]],
  ["a beginning that is no whole word", { types: ["nearmiss.v"] }, []],
])("%s passes events that match before or after, and leaves them unchanged", (_name, filter, expected) => {
  const passed = Object.entries(all).filter(([, change]) => lens(filter).see(change) === change);
  expect(passed.map(([name]) => name)).toEqual(expected);
});

test("a filter does not reveal the network that a scope hides", () => {
  const both: ResourceChange = { kind: "vm", before: null, after: vm("a", "blue", "red") };
  const blue = new Set(["blue"]);
  expect(lens({ networks: ["red"] }, blue).see(both)).toBeUndefined();
  expect(lens({ networks: ["blue"] }, blue).see(both)?.after).toMatchObject({ interfaces: [{ network: "blue" }] });
});

test("within a scope, a VM that leaves the network is deleted, and passes as such", () => {
  const seen = lens({ types: ["nearmiss.vm.deleted"] }, new Set(["blue"])).see(rewired);
  expect(seen?.after).toBeNull();
});

test("operational events are filtered by their network and host", () => {
  const theft = { kind: "theft", network: "blue", host: "a" } as const;
  const lost = { kind: "host-lost", host: "a" } as const;
  expect(lens({ networks: ["blue"] }).passesOccurrence(theft)).toBe(true);
  expect(lens({ networks: ["red"] }).passesOccurrence(theft)).toBe(false);
  expect(lens({ networks: ["blue"] }).passesOccurrence(lost)).toBe(false);
  expect(lens({ hosts: ["a"], types: ["nearmiss.operational"] }).passesOccurrence(lost)).toBe(true);
  expect(lens({ types: ["nearmiss.vm"] }).passesOccurrence(lost)).toBe(false);
});

test("the key is the same for all who see the same", () => {
  const one = lens({ networks: ["a", "b"] }, new Set(["x", "y"]));
  expect(lens({ networks: ["b", "a", "a"] }, new Set(["y", "x"])).key).toBe(one.key);
  expect(lens({ hosts: ["a", "b"] }, new Set(["y", "x"])).key).not.toBe(one.key);
  expect(lens({ networks: ["a", "b"] }).key).not.toBe(one.key);
});
