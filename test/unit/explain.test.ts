// Every problem that `explain` finds, provoked one at a time in facts on which nothing else is wrong.
import { describe, expect, test } from "vitest";
import {
  bridgeAttributes,
  type ForwardingAttribute,
  guestPortAttributes,
  tunnelPortAttributes,
  type WrongAttribute,
} from "../../node-agent/kernel/codec/forwarding-attributes.ts";
import type { Check } from "../../node-agent/status/check.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { otherVersion, withFormerNames, withoutAgent } from "../../node-agent/status/explanation.ts";
import type { PathFacts } from "../../node-agent/status/facts.ts";
import type { FarCondition } from "../../node-agent/status/inventory.ts";
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

const { vxlan, bridge, underlay } = healthyKernel;
const { tunnelEnd } = healthy;
if (!vxlan || !bridge || !underlay || !tunnelEnd) throw new Error("the healthy path has all devices");

function wrongOf(rows: readonly ForwardingAttribute[], name: string, value: number): WrongAttribute {
  const attribute = rows.find((row) => row.name === name);
  if (!attribute) throw new Error(`there is no attribute ${name}`);
  return { attribute, value };
}

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

describe("what the controller knows of the other host", () => {
  const chain = "the host's packet filter (chain inet f c) drops UDP packets";
  const isFar = ({ name }: Check): boolean => name === "far end";
  const withFar = (far: readonly Partial<FarCondition>[], to: object = registeredTo): Check[] => {
    const all = far.map((each) => ({ kind: "tunnel-filter", reason: chain, isUnknown: false, ...each }));
    return explain(withInventory({ to, far: all })).checks.filter(isFar);
  };
  const [session] = withFar([]);

  test("is wrong where it stops the path, with the fix there", () => {
    expect(withFar([{ fix: "accept them there" }])).toEqual([
      session,
      { name: "far end", state: "wrong", says: `on host b: ${chain}`, fix: "on host b: accept them there" },
    ]);
    expect(
      withFar([{ kind: "guest-never-seen", reason: "is registered here and not seen: …", subject: macOfTo }]),
    ).toEqual([
      session,
      expect.objectContaining({
        state: "wrong",
        says: "on host b: VM db-1 is registered here and not seen: …",
        fix: "see it on host b: nearmiss explain --network blue 10.20.1.2 10.20.1.1",
      }),
    ]);
    const taken = { kind: "address-conflict", reason: "another uses it" };
    expect(withFar([{ ...taken, subject: "10.20.1.2" }])[1]).toMatchObject({
      state: "note",
      says: "on host b: another uses it",
    });
    expect(withFar([{ ...taken, subject: "10.20.1.9" }])).toEqual([session]);
    const blocked = { kind: "port-blocked", reason: "the port vnet1 of nmb100 drops", subject: "vnet1" };
    expect(withFar([blocked], { ...registeredTo, guestPort: "vnet1" })[1]).toMatchObject({ state: "wrong" });
    expect(withFar([{ kind: "vtep-unrouted", reason: "no way", subject: "192.0.2.1" }])[1]).toMatchObject({
      state: "wrong",
    });
  });

  test.each<[string, Partial<FarCondition>]>([
    ["that may be of another guest's port", { kind: "port-blocked", subject: "vnet9" }],
    ["that was so when its agent was there", { isUnknown: true }],
    ["that does not stop frames", { kind: "foreign-program" }],
    ["of a kind that this version does not know", { kind: "new" }],
    [
      "of a guest that may not have started yet",
      { kind: "guest-never-seen", subject: macOfTo, reason: "the guest has sent no traffic since" },
    ],
  ])("is a note for a condition %s", (_, far) => {
    expect(withFar([far])[1]).toMatchObject({ state: "note" });
  });

  test.each<[string, Partial<FarCondition>]>([
    ["of another guest", { kind: "wrong-port", subject: other }],
    ["of addresses of guests", { kind: "address-unregistered", subject: "10.20.1.9" }],
    ["of its way to a third host", { kind: "vtep-unrouted", subject: "192.0.2.77" }],
  ])("is left out %s", (_, far) => {
    expect(withFar([far])).toEqual([session]);
  });

  test("that its agent has no session is said once, as a note", () => {
    const away = { kind: "host-away", reason: "is disconnected" };
    for (const hostConnected of [false, undefined])
      expect(withFar([away], { ...registeredTo, hostConnected })).toEqual([
        expect.objectContaining({ state: "note", says: expect.stringContaining("host b has no session") }),
      ]);
  });
});

describe("what is wrong comes first, with its fix", () => {
  const session = { ...healthy.session, state: "waiting", reason: "connect ECONNREFUSED" } as const;

  test.each<[string, PathFacts, Check["name"], RegExp, RegExp]>([
    // The controller and its inventory.
    ["no session", { ...healthy, session }, "session", /no session .* ECONNREFUSED/, /reaches http.*\/livez/],
    ["no REST", { ...healthy, inventory: unreachable }, "inventory", /is not available .* ECONNREFUSED/, /controller/],
    [
      "no such network",
      { ...healthy, told: undefined, inventory: { kind: "read", network: undefined } },
      "network",
      /no network "blue"/,
      /correct the name \(nearmiss network list\)/,
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
      /correct the address, or register/,
    ],
    [
      "a source of another host",
      withInventory({ from: { ...registeredFrom, host: "c" } }),
      "source",
      /registered on host c, not on a/,
      /run this on host c; if the VM runs here.*nearmiss vm move web-1 a/,
    ],
    [
      "another guest with the source's address",
      {
        ...healthy,
        guests: { claimedFrom: `${other} on this host uses 10.20.1.1, which is registered for ${macOfFrom}` },
      },
      "source address",
      /uses 10\.20\.1\.1/,
      /correct the MAC of its interface .*; otherwise take 10\.20\.1\.1 from it/,
    ],
    [
      "another guest with the destination's address",
      { ...healthy, guests: { claimedTo: `${other} on this host uses 10.20.1.2, which is registered for ${macOfTo}` } },
      "destination address",
      /uses 10\.20\.1\.2/,
      /register it in blue for the VM with that MAC/,
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
      /reaches http/,
    ],
    // The devices of this host.
    ["no VTEP yet", { ...healthy, tunnelEnd: undefined }, "tunnel end", /has not sent this host its VTEP/, /wait/],
    [
      "no VTEP address",
      withKernel({ underlay: undefined }),
      "tunnel end",
      /no interface .* 192\.0\.2\.1/,
      /register the host with the address that it has, or, if no other machine has it .*ip address add/,
    ],
    [
      "underlay down",
      withKernel({ underlay: link(2, "eth0", { up: false }) }),
      "tunnel end",
      /eth0, which has 192\.0\.2\.1, is down/,
      /see who took it down/,
    ],
    ["no bridge", withKernel({ bridge: undefined }), "bridge", /nmb100 does not exist/, /log/],
    [
      "bridge down",
      withKernel({ bridge: link(3, "nmb100", { up: false }) }),
      "bridge",
      /is down/,
      /the agent repairs it/,
    ],
    [
      "a bridge that the agent cannot put up",
      {
        ...withKernel({ bridge: link(3, "nmb100", { up: false }), vxlan: undefined }),
        obstacle: "nmv100 cannot be made: a vxlan device with VNI 100 is in another network namespace",
      },
      "bridge",
      /is down/,
      /the agent cannot: nmv100 cannot be made/,
    ],
    ["no vxlan device", withKernel({ vxlan: undefined }), "vxlan", /nmv100 does not exist/, /log/],
    ["vxlan down", withVxlan({ up: false }), "vxlan", /down, and .* erased its neighbours/, /the agent repairs it/],
    [
      "no proxy",
      withSettings({ proxy: false }),
      "vxlan",
      /without proxy.*requests are not answered/,
      /the agent repairs it/,
    ],
    ["no l2miss", withSettings({ l2miss: false }), "vxlan", /without l2miss.*unknown MAC/, /the agent repairs it/],
    ["no l3miss", withSettings({ l3miss: false }), "vxlan", /without l3miss.*unknown IP/, /the agent repairs it/],
    ["learning", withSettings({ learning: true }), "vxlan", /learns from the wire/, /the agent repairs it/],
    ["another VNI", withSettings({ vni: vni(101) }), "vxlan", /has VNI 101, the network 100/, /the agent repairs it/],
    [
      "another local address",
      withSettings({ local: vtep("192.0.2.9") }),
      "vxlan",
      /sends from 192\.0\.2\.9/,
      /the agent repairs it/,
    ],
    [
      "no local address",
      withSettings({ local: undefined }),
      "vxlan",
      /sends from no fixed address/,
      /the agent repairs it/,
    ],
    [
      "another UDP port",
      withSettings({ port: 8472 }),
      "vxlan",
      /UDP port 8472, registered is 4789/,
      /the agent repairs it/,
    ],
    [
      "a second device of the VNI",
      withKernel({ rivals: ["vx7"] }),
      "vxlan",
      /vx7 has VNI 100 as well/,
      /see whose it is .*; nearmiss agent remove vx7 deletes it if nothing uses it/,
    ],
    [
      "an address on the device",
      withKernel({ vxlanAddresses: [ip("10.20.1.250")] }),
      "vxlan",
      /address of the host \(10\.20\.1\.250\)/,
      /its owner has to move 10\.20\.1\.250/,
    ],
    [
      "a flood default",
      withKernel({ tables: { ...healthyKernel.tables, floods: true } }),
      "vxlan",
      /all-zeros FDB entry/,
      /see who wrote it/,
    ],
    ["outside its bridge", withVxlan({ master: 9 }), "tunnel port", /a port of another bridge/, /the agent repairs it/],
    [
      "a port that learns",
      withVxlan({ portLearning: true }),
      "tunnel port",
      /learns on nmv100/,
      /the agent repairs it/,
    ],
    [
      "a bridge whose attributes another program has changed",
      withKernel({ bridge: { ...bridge, wrongBridge: [wrongOf(bridgeAttributes, "stp_state", 1)] } }),
      "bridge",
      /^stp_state of nmb100 is 1: a new port is silent/,
      /the agent repairs it/,
    ],
    [
      "a tunnel's port that gets no multicast",
      withVxlan({ wrongPort: [wrongOf(tunnelPortAttributes, "mcast_flood", 0)] }),
      "tunnel port",
      /^mcast_flood of nmv100 in nmb100 is 0: neighbour solicitations/,
      /the agent repairs it/,
    ],
    [
      "a guest's port that gets no broadcasts",
      withKernel({
        ports: healthyKernel.ports.map((port) => ({
          ...port,
          wrongPort: [wrongOf(guestPortAttributes, "bcast_flood", 0)],
        })),
      }),
      "source port",
      /^bcast_flood of vnet0, the port of 10\.20\.1\.1, is 0: ARP requests/,
      /ask who sets it so/,
    ],
    [
      "a VTEP address that another machine has",
      withKernel({ underlay: { ...underlay, unusable: "duplicate" } }),
      "tunnel end",
      /does not use 192\.0\.2\.1 on eth0: another machine has it/,
      /see who has the address/,
    ],
    [
      "a local address of the tunnel end that the host lacks",
      {
        ...withKernel({ underlay: undefined }),
        tunnelEnd: { ...tunnelEnd, registered: vtep("198.51.100.7") },
      },
      "tunnel end",
      /no interface of this host has 192\.0\.2\.1 \(--local-vtep for 198\.51\.100\.7\)/,
      /start the agent with the address that the host has/,
    ],
    [
      "no guest attached",
      withKernel({ ports: [], portOfFrom: undefined }),
      "source port",
      /no guest port/,
      /attach that guest's own tap or veth to nmb100/,
    ],
    [
      "the registered port elsewhere",
      withInventory({ from: { ...registeredFrom, guestPort: "tap9" } }),
      "source port",
      /registered on port tap9/,
      /attach it to nmb100, if it is that guest's tap or veth; otherwise correct/,
    ],
    [
      "a registered port that this host does not have",
      {
        ...withInventory({ from: { ...registeredFrom, guestPort: "tap9" } }),
        kernel: { ...healthy.kernel, strayPort: { name: "tap9", place: "absent" } },
      },
      "source port",
      /registered on port tap9, and this host has no such device/,
      /if it runs on another host, say so: nearmiss vm move web-1 HOST; otherwise/,
    ],
    [
      "a registered port that belongs to the host",
      { ...withInventory({ from: { ...registeredFrom, guestPort: "eth0" } }), wrongPort: "is a port of br0" },
      "source port",
      /registered on port eth0/,
      /it is a port of br0: correct the interface's port/,
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
      /take vx4 out of --adopt, or, .*: nearmiss agent remove vx4; then ip link add vx4 type vxlan id 100 .* master nmb100 up/,
    ],
    [
      "a host that filters bridged frames",
      withKernel({
        filterProblems: [{ facts: {} as never, filter: "iptables", says: "IPv4 is lost", fix: "let the bridges pass" }],
      }),
      "filter",
      /IPv4 is lost/,
      /let the bridges pass/,
    ],
    [
      "the guest's port down",
      withKernel({ ports: [link(5, "vnet0", { master: 3, up: false })] }),
      "source port",
      /vnet0, the port of 10\.20\.1\.1, is down/,
      /see whether the guest runs/,
    ],
    [
      "the source's MAC behind the tunnel",
      withKernel({ portOfFrom: { mac: macOfFrom, port: "nmv100", isTunnel: true } }),
      "source port",
      /behind the tunnel/,
      /moves it back to its port/,
    ],
    // The second address.
    [
      "unregistered",
      withInventory({ to: undefined }),
      "destination",
      /no VM with 10\.20\.1\.2/,
      /correct the address, or register/,
    ],
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
      /the agent writes it/,
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
      /the agent writes it/,
    ],
    [
      "a neighbour that goes stale",
      withEntries(actual(neighbour, { lasting: false }), ...entries(tunnel, bridgeEntry)),
      "neighbour entry",
      /not permanently/,
      /the agent writes it/,
    ],
    [
      "no tunnel entry",
      withEntries(...entries(neighbour, bridgeEntry)),
      "FDB entry (self)",
      /does not know the VTEP/,
      /the agent writes it/,
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
      /the agent writes it/,
    ],
    [
      "a tunnel entry that ages",
      withEntries(actual(tunnel, { lasting: false }), ...entries(neighbour, bridgeEntry)),
      "FDB entry (self)",
      /the entry expires/,
      /the agent writes it/,
    ],
    [
      "no bridge entry",
      { ...withEntries(...entries(neighbour, tunnel)) },
      "FDB entry (master)",
      /floods its frames to all guests/,
      /the agent writes it/,
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
    [
      "local, with a neighbour",
      onTunnel(neighbour),
      "neighbour entry",
      /answers for 10\.20\.1\.2/,
      /the agent writes it/,
    ],
    ["local, with a tunnel entry", onTunnel(tunnel), "FDB entry (self)", /is on this host/, /the agent writes it/],
    ["local, with a bridge entry", onTunnel(bridgeEntry), "FDB entry (master)", /behind nmv100/, /the agent writes it/],
    // MTUs.
    [
      "a network's MTU beyond the underlay's",
      withKernel({ underlay: link(2, "eth0", { mtu: 1_460 }), vxlan: { ...vxlan, mtu: 1_460 } }),
      "MTU",
      /MTU 1450 of blue does not fit the underlay's 1460/,
      /raise that of eth0 here to 1500; otherwise .* to 1410 or less/,
    ],
    [
      "a tunnel at the network's MTU",
      withVxlan({ mtu: 1_450 }),
      "MTU",
      /nmv100 has MTU 1450 instead/,
      /the agent repairs it/,
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

  const foreignFilter = {
    kind: "foreign-program",
    reason: "a filter handles the frames of nmv100",
    fix: "ask",
  } as const;

  test("where bridged frames pass the host's iptables, and no chain drops them", () => {
    const facts = withKernel({ bridgeFilter: true });
    expect(stateOf(facts, "filter")).toBe("ok");
    expect(printExplanation(explain(facts))).not.toContain("Note on");
  });

  test("and the next place to look is the other host", () => {
    expect(printExplanation(explain(healthy))).toContain(
      "Nothing is wrong on this host. Look at the way back on host b: nearmiss explain --network blue 10.20.1.2 10.20.1.1\n",
    );
    expect(printExplanation(explain(localPath))).toMatch(/\nNothing is wrong on this host\.\n$/);
  });

  test("that a check is about, and a condition of the host is named", () => {
    const printed = printExplanation(explain({ ...healthy, conditions: [foreignFilter] }));
    expect(printed).toMatch(/ {2}note {3}foreign-program\s+a filter handles the frames of nmv100\n/);
    expect(printed).toContain("Note on foreign-program: ask\n");
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
      [withKernel({ bridgeFilter: true, legacyFilter: true }), "filter"],
      [{ ...healthy, conditions: [foreignFilter] }, "foreign-program"],
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

  test("that refuses this host the fix is an operator's", () => {
    const refused = {
      ...facts.session,
      reason: "its certificate was revoked: nearmiss host add a",
      refused: true,
    } as const;
    const { first } = explain({ ...facts, session: refused });
    expect(first).toMatchObject({ name: "session", says: expect.stringContaining("revoked: nearmiss host add a") });
    expect(first?.fix).toMatch(/^an operator has to allow it again, .* when it is started again$/);
  });

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

test("a host without its VTEP address has that as its first problem, not the session that is lost with it", () => {
  const lost: PathFacts = {
    ...healthy,
    session: { ...healthy.session, state: "waiting", reason: "ENETUNREACH" },
    kernel: { ...healthy.kernel, underlay: undefined },
  };
  const explanation = explain(lost);
  expect(explanation.first).toMatchObject({ name: "tunnel end" });
  const text = printExplanation(explanation);
  expect(text).toMatch(/^Fix: register the host with the address that it has/m);
  expect(text).toMatch(/^Then session: see whether the controller runs/m);
  expect(text).not.toMatch(/^Then tunnel end/m);
});

test("a note on the other end is in the verdict", () => {
  const away = withInventory({ to: { ...registeredTo, hostConnected: false } });
  const text = printExplanation(explain(away));
  expect(text).toContain('Nothing is wrong on this host, but perhaps on host b: see "far end".');
  expect(text).toContain("nearmiss explain --network blue 10.20.1.2 10.20.1.1");
});

test("a person reads all checks, the first that is wrong, and its fix", () => {
  const text = printExplanation(explain(withVxlan({ up: false })));
  expect(text).toContain("10.20.1.1 → 10.20.1.2 in blue, seen from host a");
  expect(text).toMatch(/^ {2}WRONG {2}vxlan +nmv100 is down/m);
  expect(text).toContain("First problem: vxlan: nmv100 is down");
  expect(text).toContain("Fix: the agent repairs it");
  expect(printExplanation(explain(healthy))).toContain("Nothing is wrong on this host.");
});

describe("a network in memory", () => {
  const knowledgeIn = (replica: Partial<NonNullable<PathFacts["replica"]>>, more: Partial<PathFacts> = {}) => {
    const whole = {
      state: "complete",
      addresses: 9,
      bytes: 400,
      to: { mac: macOfTo, vtep: vtep("192.0.2.2"), vtepPort: 4789 },
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
    ["with another MAC than the inventory", { to: { mac: other, vtep: vtep("192.0.2.2"), vtepPort: 4789 } }, "note"],
    ["with another VTEP than the inventory", { to: { mac: macOfTo, vtep: vtep("192.0.2.9"), vtepPort: 4789 } }, "note"],
    ["without the address", { to: undefined }, "note"],
  ] as const)("%s is reported", (_, replica, state) => {
    expect(knowledgeIn(replica)?.state).toBe(state);
  });

  test("is not compared with an inventory that is not available", () => {
    expect(knowledgeIn({ to: undefined }, { inventory: unreachable })).toMatchObject({ state: "ok" });
  });

  test("has the way to an address that no guest has asked for, also without the inventory", () => {
    const to = { mac: macOfTo, vtep: vtep("192.0.2.2"), vtepPort: 4789 };
    const replica = { state: "alone", addresses: 9, bytes: 400, to } as const;
    const memory = { ...healthy.memory, to: undefined };
    for (const inventory of [healthy.inventory, unreachable]) {
      const { checks } = explain({ ...healthy, inventory, memory, replica });
      expect(checks.find(({ name }) => name === "destination")).toMatchObject({ state: "ok" });
      expect(checks.find(({ name }) => name === "memory")?.says).toContain("answered from this host's memory");
    }
  });
});
