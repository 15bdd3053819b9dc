// Which networks' broadcasts a host copies, where to, and what it says where it does not.
import { beforeEach, describe, expect, test } from "vitest";
import { broadcastElements } from "../../node-agent/guard/broadcast-rules.ts";
import { Broadcasts } from "../../node-agent/networks/broadcasts.ts";
import { RegisteredNetworks } from "../../node-agent/networks/registered-networks.ts";
import { explain } from "../../node-agent/status/explain.ts";
import { parseDestination } from "../../node-agent/status/protocol.ts";
import { broadcastEntries, frameRate, maxCopies } from "../../node-agent/tables/broadcast.ts";
import { type BroadcastEntry, broadcastMac, entryKey, type Operation } from "../../node-agent/tables/entry.ts";
import { GroupTables } from "../../node-agent/tables/group-tables.ts";
import { HostTables } from "../../node-agent/tables/host-tables.ts";
import type { AgentNetwork } from "../../schema/address/index.ts";
import { conditionSentence } from "../../schema/agent/index.ts";
import { describeBroadcast } from "../../schema/plain/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { actual, healthy, healthyKernel } from "../support/path-facts.ts";

const blue = vni(100);
const own = { vtep: vtep("192.0.2.1"), vtepPort: 4789 };
const entry = (last: number, vtepPort = 4789): BroadcastEntry => ({
  kind: "broadcast",
  vni: blue,
  mac: broadcastMac,
  vtep: vtep(`192.0.2.${last}`),
  vtepPort,
});
const host = (last: number, port?: number) => ({ vtep: vtep(`192.0.2.${last}`), ...(port ? { port } : {}) });

describe("the destinations of broadcasts", () => {
  test("are the tunnel ends of the other hosts, each once, and never an own one", () => {
    const entries = broadcastEntries(blue, [host(2), host(3, 8472), host(2, 4789), host(1), host(1, 8472)], [own]);
    expect([...entries.values()]).toEqual([entry(2), entry(3, 8472), entry(1, 8472)]);
    for (const [key, each] of entries) expect(key).toBe(entryKey(each));
  });

  test("have one place for each address and port, also with IPv6", () => {
    const keys = [entry(2), entry(2, 8472), { ...entry(2), vtep: vtep("fd00::2") }].map((each) => entryKey(each));
    expect(keys).toEqual([
      "broadcast 100 192.0.2.2:4789",
      "broadcast 100 192.0.2.2:8472",
      "broadcast 100 fd00::2:4789",
    ]);
  });
});

test.each([
  [2_000, 1, 120_000, 2_000],
  [2_000, 40, 3_000, 50],
  [2_000, 511, 234, 3],
  [10, 511, 1, 1],
  [2_000, 0, 120_000, 2_000],
])(
  "with %i copies a second and %i destinations %i frames a minute pass, %i at once",
  (limit, copies, perMinute, burst) => {
    expect(frameRate(limit, copies)).toEqual({ perMinute, burst });
  },
);

test("the rules name each tunnel with its rate", () => {
  const { script, sizes } = broadcastElements([
    { device: "nmv100", perMinute: 600, burst: 10, groups: new Map([[mac("52:54:00:00:00:01"), 3]]) },
  ]);
  expect(sizes.get("tunnels")).toBe(1);
  expect([sizes.get("copies_1"), sizes.get("copies_4")]).toEqual([0, 1]);
  expect(script).toContain('copies_4 { "nmv100" . 52:54:00:00:00:01 }');
  expect(script).toContain(
    'rates oifname "nmv100" update @talk { iifname limit rate over 600/minute burst 10 packets }',
  );
  expect(script).toContain('add element bridge nearmiss-broadcast tunnels { "nmv100" }');
});

describe("a host", () => {
  const network: AgentNetwork = { name: "blue", vni: blue, mtu: 1450, revision: rev(1), broadcast: "replicate" };
  const { broadcast: _, ...quiet } = network;
  let registered: RegisteredNetworks;
  let hostTables: HostTables;
  let written: Operation[];
  let looked: number;
  let nowMs: number;
  let broadcasts: Broadcasts;

  const whole = (...lasts: number[]) =>
    hostTables.take({
      vni: blue,
      whole: true,
      hosts: [
        { host: "a", vtep: own.vtep, port: 4789 },
        ...lasts.map((last) => ({ host: `h${last}`, ...host(last, 4789) })),
      ],
      end: true,
    });
  const texts = () => broadcasts.conditions.map(({ says }) => says);
  const verbs = () => written.splice(0).map(({ verb, entry: each }) => `${verb} ${entryKey(each)}`);

  beforeEach(() => {
    registered = new RegisteredNetworks();
    registered.registeredEnd = own;
    hostTables = new HostTables("a");
    written = [];
    looked = 0;
    nowMs = 0;
    broadcasts = new Broadcasts({
      registered,
      hostTables,
      groupTables: new GroupTables(),
      devices: { adoptedFor: () => undefined },
      copiesPerSecond: 100,
      write: async (operations) => {
        written.push(...operations);
        return [];
      },
      look: () => looked++,
      nowMs: () => nowMs,
    });
  });

  test("copies when it has the host table and the rules, and leaves the kernel as it is until then", async () => {
    registered.change([network], []);
    await broadcasts.refresh();
    expect([broadcasts.stateOf(blue)?.state, broadcasts.isDecided(blue), broadcasts.awaitsRules]).toEqual([
      "pending",
      false,
      true,
    ]);
    whole(2, 3);
    await broadcasts.refresh();
    expect([broadcasts.stateOf(blue)?.state, broadcasts.isDecided(blue), written, looked]).toEqual([
      "pending",
      false,
      [],
      0,
    ]);
    expect(broadcasts.tunnels()).toEqual([
      { vni: blue, device: "nmv100", perMinute: 3_000, burst: 50, groups: new Map() },
    ]);
    await broadcasts.rulesLoaded(["nmv100"]);
    expect([broadcasts.stateOf(blue)?.state, broadcasts.awaitsRules, looked]).toEqual(["copied", false, 1]);
    expect(verbs()).toEqual(["put broadcast 100 192.0.2.2:4789", "put broadcast 100 192.0.2.3:4789"]);
    expect(broadcasts.entryAt(entry(2))).toEqual(entry(2));
    expect(texts()).toEqual([]);
  });

  test("follows hosts that come and go, adds first, and stops when the network is off", async () => {
    registered.change([network], []);
    whole(2, 3);
    await broadcasts.rulesLoaded(["nmv100"]);
    written = [];
    whole(3, 4);
    await broadcasts.refresh();
    expect(verbs()).toEqual(["put broadcast 100 192.0.2.4:4789", "delete broadcast 100 192.0.2.2:4789"]);
    registered.change([quiet], []);
    await broadcasts.refresh();
    expect(verbs()).toEqual(["delete broadcast 100 192.0.2.3:4789", "delete broadcast 100 192.0.2.4:4789"]);
    expect(broadcasts.tunnels()).toEqual([]);
  });

  test("removes what it has copied to when the rules are lost, and says so", async () => {
    registered.change([network], []);
    whole(2);
    await broadcasts.rulesLoaded(["nmv100"]);
    written = [];
    await broadcasts.rulesMissing("nft: not found");
    expect(verbs()).toEqual(["delete broadcast 100 192.0.2.2:4789"]);
    expect(broadcasts.awaitsRules).toBe(false);
    expect(texts()).toEqual([
      expect.stringMatching(/^network blue: broadcasts .* stay on this host.*\(nft: not found\)$/),
    ]);
    await broadcasts.rulesLoaded(["nmv100"]);
    expect(texts()).toEqual([]);
  });

  test("copies nothing to more hosts than a frame may have copies", async () => {
    registered.change([network], []);
    const hosts = Array.from({ length: maxCopies + 1 }, (_, n) => ({
      host: `h${n}`,
      vtep: vtep(`10.0.${n >> 8}.${n & 255 || 1}`),
      port: n & 255 ? 4789 : 4790 + (n >> 8),
    }));
    hostTables.take({ vni: blue, whole: true, hosts, end: true });
    await broadcasts.rulesLoaded(["nmv100"]);
    expect([broadcasts.stateOf(blue)?.state, written]).toEqual(["too-many", []]);
    expect(texts()).toEqual([
      expect.stringContaining(`on ${maxCopies + 2} hosts, and copies go to networks of at most ${maxCopies + 1}`),
    ]);
    hostTables.take({ vni: blue, whole: false, hosts: [{ host: "h1", vtep: null }], end: true });
    await broadcasts.refresh();
    expect(broadcasts.stateOf(blue)?.state).toBe("copied");
    expect(written).toHaveLength(maxCopies);
  });

  test("names a port above its limit until it is below it for ten seconds", async () => {
    registered.change([network], []);
    whole(2);
    await broadcasts.rulesLoaded(["nmv100"]);
    expect(broadcasts.noteStorm("vnet0", blue)).toBe(true);
    expect(broadcasts.noteStorm("vnet0", blue)).toBe(false);
    const values = { port: "vnet0", most: "100" };
    expect(texts()).toEqual([
      conditionSentence({ kind: "broadcast-storm", reason: "limited", vni: blue, values }, "blue"),
    ]);
    nowMs = 9_999;
    expect(broadcasts.limitedPorts(blue)).toEqual(["vnet0"]);
    nowMs = 10_000;
    expect(texts()).toEqual([]);
    expect(broadcasts.noteStorm("vnet0", blue)).toBe(true);
  });
});

describe("explain of a broadcast", () => {
  const told = { name: "blue", vni: blue, mtu: 1_450, revision: rev(1) };
  const copied = { state: "copied", destinations: ["192.0.2.2", "192.0.2.3"], limited: [] } as const;
  const facts = {
    ...healthy,
    to: parseDestination("255.255.255.255"),
    inventory: { ...(healthy.inventory as Extract<typeof healthy.inventory, { from: unknown }>), to: undefined },
    told: { ...told, broadcast: "replicate" as const },
    broadcast: copied,
    kernel: {
      ...healthyKernel,
      portOfTo: undefined,
      tables: { entries: [entry(2), entry(3)].map((each) => actual(each)), unresolved: [], floods: false },
    },
  };
  const firstOf = (fields: object) => explain({ ...facts, ...fields } as typeof healthy).first;

  test("says where it goes, to 255.255.255.255 and to a subnet's last address", () => {
    for (const to of [facts.to, ip("10.20.1.255")]) {
      const { first, checks } = explain({ ...facts, to });
      expect(first).toBeNull();
      expect(checks.find(({ name }) => name === "broadcast")?.says).toBe(
        "broadcasts of blue are copied to 192.0.2.2, 192.0.2.3",
      );
      expect(checks.at(-1)?.name).toBe("never copied");
    }
  });

  test.each([
    [{ told }, /stay on their host: its broadcast is off/, /set the network's broadcast to replicate/],
    [{ broadcast: { ...copied, state: "unfiltered" } }, /the rules .* are not in place/, /install Debian's nftables/],
    [{ broadcast: { ...copied, state: "too-many" } }, /it is on 3 hosts/, /set the network's broadcast to off/],
    [
      { broadcast: { ...copied, destinations: ["192.0.2.2", "192.0.2.3", "192.0.2.4"] } },
      /does not copy broadcasts to 192\.0\.2\.4/,
      /the agent corrects it/,
    ],
    [
      { broadcast: { ...copied, destinations: ["192.0.2.2"] } },
      /copies broadcasts to 192\.0\.2\.3, which has no VM/,
      /the agent corrects it/,
    ],
  ])("says why not: %j", (fields, says, fix) => {
    const first = firstOf(fields);
    expect(first?.says).toMatch(says);
    expect(first?.fix).toMatch(fix);
  });

  test("an address that a VM has is no broadcast, whatever its last byte", () => {
    const { checks } = explain({ ...healthy, told: facts.told, broadcast: copied });
    expect(checks.map(({ name }) => name)).not.toContain("broadcast");
  });

  test("names a guest above the limit, and a network on this host only", () => {
    const notes = (fields: object) =>
      explain({ ...facts, ...fields } as typeof healthy).checks.filter(({ state }) => state === "note");
    expect(notes({ broadcast: { ...copied, limited: ["vnet0"] } }).map(({ name }) => name)).toContain("limit");
    expect(notes({ broadcast: { ...copied, destinations: [] } }).map(({ says }) => says)).toContain(
      "no other host has a VM in blue: there is nothing to copy",
    );
    expect(notes({ broadcast: { ...copied, state: "pending" } }).map(({ says }) => says)).toContain(
      "blue is being prepared for broadcasts to other hosts: ask again",
    );
  });
});

test("the setting is described for a person", () => {
  expect(describeBroadcast({})).toBe("off, the default: stays on its host");
  expect(describeBroadcast({ broadcast: "off" })).toBe("off: stays on its host");
  expect(describeBroadcast({ broadcast: "replicate" })).toBe("replicate: copied to every host with a VM in it");
});
