// Every problem that `explain` finds, provoked one at a time in facts on which nothing else is wrong.
import { describe, expect, test } from "vitest";
import type { Check } from "../../node-agent/status/check.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { otherVersion, withFormerNames, withoutAgent } from "../../node-agent/status/explanation.ts";
import type { PathFacts } from "../../node-agent/status/facts.ts";
import { printExplanation } from "../../node-agent/status/print-explanation.ts";
import type { Entry } from "../../node-agent/tables/entry.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import {
  actual,
  blue,
  bridgeEntry,
  healthy,
  healthyKernel,
  link,
  macOfFrom,
  macOfTo,
  neighbour,
  registered,
  registeredFrom,
  registeredTo,
  to,
  tunnel,
  vxlanSettings,
  withKernel,
} from "../support/path-facts.ts";

const { vxlan } = healthyKernel;
if (!vxlan) throw new Error("the healthy path has no tunnel");

const withVxlan = (fields: Partial<typeof vxlan>): PathFacts => withKernel({ vxlan: { ...vxlan, ...fields } });
const withSettings = (fields: object): PathFacts => withVxlan({ vxlan: { ...vxlanSettings, ...fields } });
const withMemory = (fields: Partial<PathFacts["memory"]>): PathFacts => ({
  ...healthy,
  memory: { ...healthy.memory, ...fields },
});
const withInventory = (fields: object): PathFacts => ({ ...healthy, inventory: { ...registered, ...fields } });
const withEntries = (...entries: ReturnType<typeof actual>[]): PathFacts =>
  withKernel({ tables: { ...healthyKernel.tables, entries } });
const entries = (...kept: Entry[]): ReturnType<typeof actual>[] => kept.map((entry) => actual(entry));
const absent = { kind: "absent", key: { kind: "ip", vni: blue, ip: to }, revision: rev(3), sinceMs: 0 } as const;
const unreachable = { kind: "unreachable", reason: "GET /v1/networks/blue: connect ECONNREFUSED" } as const;
const other = mac("52:54:00:00:00:66");
const { to: heldTo } = healthy.memory;
if (heldTo?.kind !== "remote") throw new Error("the healthy path's end is remote");

const sameHost = { ...registeredTo, host: "a", vtep: vtep("192.0.2.1") };
const localMemory = { kind: "local", key: absent.key, mac: macOfTo, revision: rev(5), sinceMs: 0 } as const;
const localPath: PathFacts = {
  ...withKernel({
    tables: { ...healthyKernel.tables, entries: [] },
    portOfTo: { mac: macOfTo, port: "vnet1", isTunnel: false },
  }),
  inventory: { ...registered, to: sameHost },
  memory: { ...healthy.memory, to: localMemory },
};
const onTunnel = (...kept: Entry[]): PathFacts => ({
  ...localPath,
  kernel: { ...localPath.kernel, tables: { ...healthyKernel.tables, entries: entries(...kept) } },
});

describe("what is wrong comes first, with its fix", () => {
  const session = { ...healthy.session, state: "waiting", reason: "connect ECONNREFUSED" } as const;

  test.each<[string, PathFacts, Check["name"], RegExp, RegExp]>([
    // The controller and its inventory.
    ["no session", { ...healthy, session }, "session", /no session .* ECONNREFUSED/, /curl http.*\/livez/],
    ["no REST", { ...healthy, inventory: unreachable }, "inventory", /is not available .* ECONNREFUSED/, /controller/],
    [
      "no such network",
      { ...healthy, told: undefined, inventory: { kind: "read", network: undefined } },
      "network",
      /no network "blue"/,
      /PUT \/v1\/networks\/blue/,
    ],
    [
      "no VM of the network here",
      { ...healthy, told: undefined, inventory: { ...registered, from: { ...registeredFrom, host: "c" } } },
      "network",
      /no VM on host a/,
      /host of the first address/,
    ],
    [
      "a VM here, not yet pushed to the agent",
      { ...healthy, told: undefined },
      "network",
      /has not sent it to the agent/,
      /wait a moment/,
    ],
    [
      "an unregistered source",
      withInventory({ from: undefined }),
      "source",
      /no VM with 10\.20\.1\.1/,
      /POST \/v1\/vms/,
    ],
    [
      "a source of another host",
      withInventory({ from: { ...registeredFrom, host: "c" } }),
      "source",
      /registered on host c, not on a/,
      /run this on host c.*PATCH/,
    ],
    [
      "another guest with the source's address",
      {
        ...healthy,
        guests: { claimedFrom: `${other} on this host uses 10.20.1.1, which is registered for ${macOfFrom}` },
      },
      "source address",
      /uses 10\.20\.1\.1/,
      /take 10\.20\.1\.1 from that guest/,
    ],
    [
      "another guest with the destination's address",
      { ...healthy, guests: { claimedTo: `${other} on this host uses 10.20.1.2, which is registered for ${macOfTo}` } },
      "destination address",
      /uses 10\.20\.1\.2/,
      /register it so/,
    ],
    [
      "a guest that scans",
      { ...healthy, guests: { exhausted: `the guest ${macOfFrom}` } },
      "budget",
      /has used up its query budget/,
      /end the scan/,
    ],
    [
      "a source without an entry in memory",
      { ...withMemory({ from: undefined }), session, inventory: unreachable },
      "session",
      /no session/,
      /curl/,
    ],
    // The devices of this host.
    ["no VTEP yet", { ...healthy, tunnelEnd: undefined }, "tunnel end", /has not sent this host its VTEP/, /wait/],
    [
      "no VTEP address",
      withKernel({ underlay: undefined }),
      "tunnel end",
      /no interface .* 192\.0\.2\.1/,
      /ip address add/,
    ],
    [
      "underlay down",
      withKernel({ underlay: link(2, "eth0", { up: false }) }),
      "tunnel end",
      /eth0, which has 192\.0\.2\.1, is down/,
      /ip link set eth0 up/,
    ],
    ["no bridge", withKernel({ bridge: undefined }), "bridge", /nmb100 does not exist/, /log/],
    [
      "bridge down",
      withKernel({ bridge: link(3, "nmb100", { up: false }) }),
      "bridge",
      /is down/,
      /ip link set nmb100 up/,
    ],
    ["no vxlan device", withKernel({ vxlan: undefined }), "vxlan", /nmv100 does not exist/, /log/],
    ["vxlan down", withVxlan({ up: false }), "vxlan", /down, and .* erased its neighbours/, /ip link set nmv100 up/],
    [
      "no proxy",
      withSettings({ proxy: false }),
      "vxlan",
      /without proxy.*requests are not answered/,
      /ip link del nmv100/,
    ],
    ["no l2miss", withSettings({ l2miss: false }), "vxlan", /without l2miss.*unknown MAC/, /ip link del nmv100/],
    ["no l3miss", withSettings({ l3miss: false }), "vxlan", /without l3miss.*unknown IP/, /ip link del nmv100/],
    ["learning", withSettings({ learning: true }), "vxlan", /learns from the wire/, /nolearning/],
    ["another VNI", withSettings({ vni: vni(101) }), "vxlan", /has VNI 101, the network 100/, /ip link del/],
    [
      "another local address",
      withSettings({ local: vtep("192.0.2.9") }),
      "vxlan",
      /sends from 192\.0\.2\.9/,
      /local 192\.0\.2\.1/,
    ],
    [
      "no local address",
      withSettings({ local: undefined }),
      "vxlan",
      /sends from no fixed address/,
      /local 192\.0\.2\.1/,
    ],
    ["another UDP port", withSettings({ port: 8472 }), "vxlan", /UDP port 8472, registered is 4789/, /ip link del/],
    [
      "a second device of the VNI",
      withKernel({ rivals: ["vx7"] }),
      "vxlan",
      /vx7 has VNI 100 as well/,
      /ip link del vx7/,
    ],
    [
      "an address on the device",
      withKernel({ vxlanAddresses: [ip("10.20.1.250")] }),
      "vxlan",
      /address of the host \(10\.20\.1\.250\)/,
      /ip address flush dev nmv100/,
    ],
    [
      "a flood default",
      withKernel({ tables: { ...healthyKernel.tables, floods: true } }),
      "vxlan",
      /all-zeros FDB entry/,
      /bridge fdb del 00:00:00:00:00:00/,
    ],
    ["outside its bridge", withVxlan({ master: 9 }), "tunnel port", /a port of another bridge/, /master nmb100/],
    [
      "a port that learns",
      withVxlan({ portLearning: true }),
      "tunnel port",
      /learns on nmv100/,
      /bridge link set dev nmv100 learning off/,
    ],
    [
      "no guest attached",
      withKernel({ ports: [], portOfFrom: undefined }),
      "source port",
      /no guest port/,
      /ip link set TAP/,
    ],
    [
      "the registered port elsewhere",
      withInventory({ from: { ...registeredFrom, guestPort: "tap9" } }),
      "source port",
      /registered on port tap9/,
      /ip link set tap9 master nmb100/,
    ],
    [
      "an address that is not pinned to its registered port",
      {
        ...withInventory({ from: { ...registeredFrom, guestPort: "vnet0" } }),
        kernel: { ...healthyKernel, portOfFrom: undefined },
      },
      "source port",
      /registered on port vnet0, but the bridge does not have its MAC there/,
      /nearmiss agent status/,
    ],
    [
      "an adopted device without proxy",
      withKernel({
        adopted: true,
        vxlan: link(4, "vx4", {
          kind: "vxlan",
          master: 3,
          portLearning: false,
          vxlan: { ...vxlanSettings, proxy: false },
        }),
      }),
      "vxlan",
      /vx4 is without proxy/,
      /ip link del vx4; ip link add vx4 type vxlan id 100 .* master nmb100 up/,
    ],
    [
      "a host that filters bridged frames",
      withKernel({ filterProblems: [{ filter: "iptables", says: "IPv4 is lost", fix: "sysctl -w x=0" }] }),
      "filter",
      /IPv4 is lost/,
      /sysctl -w x=0/,
    ],
    [
      "the guest's port down",
      withKernel({ ports: [link(5, "vnet0", { master: 3, up: false })] }),
      "source port",
      /vnet0, the port of 10\.20\.1\.1, is down/,
      /ip link set vnet0 up/,
    ],
    [
      "the source's MAC behind the tunnel",
      withKernel({ portOfFrom: { mac: macOfFrom, port: "nmv100", isTunnel: true } }),
      "source port",
      /behind the tunnel/,
      /bridge fdb del 52:54:00:00:00:01 dev nmv100 master/,
    ],
    // The second address.
    ["unregistered", withInventory({ to: undefined }), "destination", /no VM with 10\.20\.1\.2/, /POST \/v1\/vms/],
    [
      "outside the subnets",
      { ...withInventory({ to: undefined }), to: ip("10.99.0.1") },
      "destination",
      /10\.99\.0\.1 is in no subnet of blue \(10\.20\.1\.0\/24\)/,
      /correct the address/,
    ],
    // Memory against inventory.
    [
      "memory of nothing",
      withMemory({ to: absent }),
      "memory",
      /nothing is registered .* revision 3.*since revision 5/,
      /restart/,
    ],
    ["memory of it here", withMemory({ to: localMemory }), "memory", /that it is on this host/, /restart/],
    ["another MAC", withMemory({ to: { ...heldTo, mac: other } }), "memory", /has cached 52:54:00:00:00:66/, /pushed/],
    [
      "another VTEP",
      withMemory({ to: { ...heldTo, vtep: vtep("192.0.2.3") } }),
      "memory",
      /at 192\.0\.2\.3 at/,
      /pushed/,
    ],
    [
      "another UDP port there",
      withMemory({ to: { ...heldTo, vtepPort: 8472 } }),
      "memory",
      /192\.0\.2\.2:8472/,
      /pushed/,
    ],
    // The kernel's three entries.
    [
      "no neighbour",
      withEntries(...entries(tunnel, bridgeEntry)),
      "neighbour entry",
      /no neighbour entry/,
      /ip neigh replace/,
    ],
    [
      "a neighbour without MAC",
      withKernel({ tables: { ...healthyKernel.tables, unresolved: [to] } }),
      "neighbour entry",
      /without a MAC/,
      /ip neigh del 10\.20\.1\.2 dev nmv100/,
    ],
    [
      "a neighbour of another MAC",
      withEntries(actual({ kind: "neighbour", vni: blue, ip: to, mac: other }), ...entries(tunnel, bridgeEntry)),
      "neighbour entry",
      /has 10\.20\.1\.2 at 52:54:00:00:00:66, it should be 52:54:00:00:00:02/,
      /ip neigh replace 10\.20\.1\.2 lladdr 52:54:00:00:00:02/,
    ],
    [
      "a neighbour that goes stale",
      withEntries(actual(neighbour, { lasting: false }), ...entries(tunnel, bridgeEntry)),
      "neighbour entry",
      /not permanently/,
      /nud permanent/,
    ],
    [
      "no tunnel entry",
      withEntries(...entries(neighbour, bridgeEntry)),
      "FDB entry (self)",
      /does not know the VTEP/,
      /l2miss/,
    ],
    [
      "a tunnel entry to elsewhere",
      withEntries(
        ...entries(neighbour, bridgeEntry, {
          kind: "tunnel",
          vni: blue,
          mac: macOfTo,
          vtep: vtep("192.0.2.9"),
          vtepPort: 4789,
        }),
      ),
      "FDB entry (self)",
      /to 192\.0\.2\.9:4789, it should be 192\.0\.2\.2:4789/,
      /bridge fdb replace .* dst 192\.0\.2\.2 self/,
    ],
    [
      "a tunnel entry that ages",
      withEntries(actual(tunnel, { lasting: false }), ...entries(neighbour, bridgeEntry)),
      "FDB entry (self)",
      /the entry expires/,
      /bridge fdb replace/,
    ],
    [
      "no bridge entry",
      { ...withEntries(...entries(neighbour, tunnel)) },
      "FDB entry (master)",
      /floods its frames to all guests/,
      /master extern_learn/,
    ],
    [
      "a stolen bridge entry",
      withKernel({
        tables: { ...healthyKernel.tables, entries: entries(neighbour, tunnel) },
        portOfTo: { mac: macOfTo, port: "vnet7", isTunnel: false },
      }),
      "FDB entry (master)",
      /behind vnet7: a frame from there had this MAC/,
      /check the guest behind vnet7/,
    ],
    // Both on this host.
    [
      "local, cached as remote",
      { ...localPath, memory: healthy.memory },
      "memory",
      /has cached 10\.20\.1\.2 at 192\.0\.2\.2/,
      /restart/,
    ],
    [
      "local, cached as unknown",
      { ...localPath, memory: { ...healthy.memory, to: absent } },
      "memory",
      /not registered/,
      /restart/,
    ],
    ["local, with a neighbour", onTunnel(neighbour), "neighbour entry", /answers for 10\.20\.1\.2/, /ip neigh del/],
    [
      "local, with a tunnel entry",
      onTunnel(tunnel),
      "FDB entry (self)",
      /is on this host/,
      /bridge fdb del .* dst 192\.0\.2\.2 self/,
    ],
    [
      "local, with a bridge entry",
      onTunnel(bridgeEntry),
      "FDB entry (master)",
      /behind nmv100/,
      /bridge fdb del .* master/,
    ],
    // MTUs.
    [
      "a network's MTU beyond the underlay's",
      withKernel({ underlay: link(2, "eth0", { mtu: 1_460 }), vxlan: { ...vxlan, mtu: 1_460 } }),
      "MTU",
      /MTU 1450 of blue does not fit the underlay's 1460/,
      /to 1410 or less, or raise that of eth0 to 1500/,
    ],
    [
      "a tunnel at the network's MTU",
      withVxlan({ mtu: 1_450 }),
      "MTU",
      /nmv100 has MTU 1450 instead/,
      /ip link set nmv100 mtu 1500/,
    ],
  ])("%s", (_, facts, name, says, fix) => {
    const { first } = explain(facts);
    expect(first).toMatchObject({ state: "wrong", name });
    expect(first?.says).toMatch(says);
    expect(first?.fix).toMatch(fix);
  });
});

describe("nothing is wrong", () => {
  const stateOf = (facts: PathFacts, name: string): string | undefined =>
    explain(facts).checks.find((check) => check.name === name)?.state;

  test("on a healthy path: every check passes", () => {
    const { first, checks } = explain(healthy);
    expect(first).toBeNull();
    expect(checks.filter(({ state }) => state !== "ok")).toEqual([]);
  });

  test("between two guests of this host", () => {
    expect(explain(localPath).first).toBeNull();
    expect(stateOf(localPath, "destination port")).toBe("ok");
  });

  test("if no guest has asked for the destination yet", () => {
    const facts = { ...withEntries(), memory: { ...healthy.memory, to: undefined } };
    expect(explain(facts).first).toBeNull();
    for (const name of ["memory", "neighbour entry", "FDB entry (self)", "FDB entry (master)"]) {
      expect(stateOf(facts, name)).toBe("note");
    }
  });

  test("but there is a note", () => {
    const silent = withKernel({ portOfFrom: undefined });
    const foreign = withEntries(actual(neighbour, { own: false }), ...entries(tunnel, bridgeEntry));
    const away = withInventory({ to: { ...registeredTo, hostConnected: false } });
    const unheard = { ...localPath, kernel: { ...localPath.kernel, portOfTo: undefined } };
    const cases = [
      [silent, "source port"],
      [foreign, "neighbour entry"],
      [away, "far end"],
      [unheard, "destination port"],
      [withKernel({ bridgeFilter: true }), "filter"],
    ] as const;
    for (const [facts, name] of cases) {
      expect(explain(facts).first).toBeNull();
      expect(stateOf(facts, name)).toBe("note");
    }
  });
});

describe("without the controller", () => {
  const facts: PathFacts = {
    ...healthy,
    session: { controller: "http://192.0.2.10:4788/", state: "waiting", reason: "connect ECONNREFUSED" },
    inventory: unreachable,
  };
  const wrongs = (given: PathFacts): string[] =>
    explain(given).checks.flatMap(({ state, name }) => (state === "wrong" ? [name] : []));

  test("memory and kernel are still compared", () => {
    expect(wrongs(facts)).toEqual(["session", "inventory"]);
    const entriesLost = { ...facts, kernel: { ...healthyKernel, tables: { ...healthyKernel.tables, entries: [] } } };
    expect(wrongs(entriesLost)).toEqual([
      "session",
      "inventory",
      "neighbour entry",
      "FDB entry (self)",
      "FDB entry (master)",
    ]);
  });

  test("entries that were never learned are named", () => {
    expect(wrongs({ ...facts, memory: { ...healthy.memory, to: undefined } })).toContain("destination");
    expect(wrongs({ ...facts, memory: { ...healthy.memory, to: absent } })).toContain("destination");
    expect(wrongs({ ...facts, memory: { ...healthy.memory, from: undefined } })).toContain("source");
    expect(wrongs({ ...facts, told: undefined })).toEqual(["session", "inventory"]);
  });
});

test("without an agent that is the first problem, and another build's agent is noted", () => {
  const question = { host: null, network: "blue", from: "10.20.1.1", to: "10.20.1.2" };
  const none = withoutAgent(question, "no agent runs here", "start one");
  expect(none.first).toMatchObject({ name: "agent", state: "wrong", fix: "start one" });
  expect(printExplanation(none)).toContain("seen from this host");
  expect(otherVersion("0.1.0", "0.2.0")).toMatchObject({ state: "note" });
});

test("a fix has its former name too, for commands and agents of 0.1", () => {
  const question = { host: "a", network: "blue", from: "10.20.1.1", to: "10.20.1.2" };
  const check = { name: "agent", state: "wrong", says: "no agent" } as const;
  for (const sent of [{ fix: "start one" }, { mend: "start one" }]) {
    const wrong = { ...check, ...sent };
    const both = { ...check, fix: "start one", mend: "start one" };
    expect(withFormerNames({ ...question, first: wrong, checks: [wrong, check] })).toEqual({
      ...question,
      first: both,
      checks: [both, check],
    });
  }
});

test("a person reads all checks, the first that is wrong, and its fix", () => {
  const text = printExplanation(explain(withVxlan({ up: false })));
  expect(text).toContain("10.20.1.1 → 10.20.1.2 in blue, seen from host a");
  expect(text).toMatch(/^ {2}WRONG {2}vxlan +nmv100 is down/m);
  expect(text).toContain("First problem: vxlan: nmv100 is down");
  expect(text).toContain("Fix: ip link set nmv100 up");
  expect(printExplanation(explain(healthy))).toContain("Nothing is wrong on this host.");
});

describe("a network in memory", () => {
  const knowledgeIn = (replica: Partial<NonNullable<PathFacts["replica"]>>, more: Partial<PathFacts> = {}) => {
    const whole = {
      state: "complete",
      addresses: 9,
      bytes: 400,
      to: { mac: macOfTo, vtep: vtep("192.0.2.2") },
    } as const;
    const checks = explain({ ...healthy, ...more, replica: { ...whole, ...replica } }).checks;
    return checks.find(({ name }) => name === "knowledge");
  };

  test("is named with its position, and a network on demand is not", () => {
    expect(knowledgeIn({})).toMatchObject({
      state: "ok",
      says: "blue is in this host's memory, with 9 addresses, as of revision 7",
    });
    expect(explain(healthy).checks.map(({ name }) => name)).not.toContain("knowledge");
  });

  test.each([
    ["without room", { state: "no room" }, "wrong"],
    ["that is not complete", { state: "receiving" }, "note"],
    ["of an ended session", { state: "alone" }, "note"],
    ["with another MAC than the inventory", { to: { mac: other, vtep: vtep("192.0.2.2") } }, "note"],
    ["with another VTEP than the inventory", { to: { mac: macOfTo, vtep: vtep("192.0.2.9") } }, "note"],
    ["without the address", { to: undefined }, "note"],
  ] as const)("%s is reported", (_, replica, state) => {
    expect(knowledgeIn(replica)?.state).toBe(state);
  });

  test("is not compared with an inventory that is not available", () => {
    expect(knowledgeIn({ to: undefined }, { inventory: unreachable })).toMatchObject({ state: "ok" });
  });
});
