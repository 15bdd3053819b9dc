// What of the dashboard is a function of its arguments.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sentence } from "../../dashboard/format.ts";
import { assignFaults } from "../../dashboard/forms/faults.ts";
import { formatLabels, numberOf, parseLabels, words } from "../../dashboard/forms/text.ts";
import { groupAlike } from "../../dashboard/live/groups.ts";
import { issuesOf } from "../../dashboard/live/issues.ts";
import { byTime, merged, newestFirst } from "../../dashboard/live/order.ts";
import { cursorOf, isNew, whollyAt } from "../../dashboard/live/position.ts";
import { bearsOn, isAnswered } from "../../dashboard/live/questions.ts";
import { commonPrefix, layOut, neighbour } from "../../dashboard/map/layout.ts";
import { degrees, peersOf, tunnelsOf } from "../../dashboard/map/tunnels.ts";
import { labelled, nameOrAddress, namesBeginning, wholeName } from "../../dashboard/parts/search.ts";
import { findConflict } from "../../node-agent/tables/local-guests.ts";
import { parseMac, parseVni } from "../../schema/address/index.ts";
import {
  type CloudEvent,
  findCursor,
  type OperationalEvent,
  toOperationalCloudEvent,
} from "../../schema/events/index.ts";
import { problemDetails } from "../../schema/plain/index.ts";

const away = (host: string) =>
  ({
    kind: "host-away",
    host,
    severity: "bad",
    status: "true",
    since: "2026-11-21T09:00:00.000Z",
    title: "is disconnected",
    reason: "no agent",
  }) as const;

describe("a burst of events", () => {
  const change = (type: string, n: number, after: object = {}) =>
    ({
      type: `nearmiss.${type}`,
      subject: `vms/vm-${n}`,
      source: "s",
      id: String(n),
      revision: n,
      index: 0,
      time: "2026-11-21T09:00:00.000Z",
      data: { before: { host: "a", description: "" }, after: { host: "a", description: "", ...after } },
    }) as unknown as CloudEvent;
  const sizes = (events: readonly CloudEvent[]) => groupAlike(events).map((group) => group.length);

  test("of four or more like ones is a group, in their order, and fewer are not", () => {
    const created = [1, 2, 3, 4].map((n) => change("vm.created", n));
    const deleted = [5, 6, 7].map((n) => change("vm.deleted", n));
    expect(sizes([...created, ...deleted])).toEqual([4, 1, 1, 1]);
    expect(groupAlike([...deleted, ...created]).flat()).toEqual([...deleted, ...created]);
    // Something else in between: what came when stays visible.
    expect(sizes([...created.slice(0, 2), ...deleted.slice(0, 1), ...created.slice(2)])).toEqual([1, 1, 1, 1, 1]);
    expect(groupAlike([])).toEqual([]);
  });

  test("of changes is one only where the same fields changed", () => {
    const moved = [1, 2, 3, 4].map((n) => change("vm.updated", n, { host: "b" }));
    const described = [5, 6, 7, 8].map((n) => change("vm.updated", n, { description: "x" }));
    expect(sizes([...moved, ...described])).toEqual([4, 4]);
    expect(sizes([moved[0], described[0], moved[1], described[1]] as CloudEvent[])).toEqual([1, 1, 1, 1]);
  });
});

describe("a refusal is shown", () => {
  const values = { "/name": "web", "/host": "a", "/interfaces/0/ips": "10.0.0.1, 10.0.0.2", "/interfaces/0/mac": "" };

  test("at the field that its pointer leads into, and above the form if no field is meant", () => {
    const errors = [
      { pointer: "/interfaces/0/ips/1", detail: "is no address" },
      { pointer: "/host", detail: "is missing" },
      { pointer: "/interfaces", detail: "too many" },
    ];
    expect(assignFaults(problemDetails("invalid-input", "2 faults", { errors }), values)).toEqual({
      byField: { "/interfaces/0/ips": ["is no address"], "/host": ["is missing"] },
      general: ["too many"],
    });
  });

  test("at the field whose value it names", () => {
    const fieldOf = (type: Parameters<typeof problemDetails>[0], detail: string) =>
      Object.keys(assignFaults(problemDetails(type, detail), values).byField);
    expect(fieldOf("name-taken", 'the name "web" is in use')).toEqual(["/name"]);
    expect(fieldOf("address-taken", '10.0.0.2 in network "blue" is "db"\'s')).toEqual(["/interfaces/0/ips"]);
    const ofBlue = { ...values, "/interfaces/0/network": "blue" };
    const taken = problemDetails("address-taken", '10.0.0.2 is taken in network "blue"');
    expect(Object.keys(assignFaults(taken, ofBlue).byField)).toEqual(["/interfaces/0/ips"]);
    expect(fieldOf("unknown-reference", 'VM "web": no host is named "a"')).toEqual(["/host"]);
    // Part of another word is not the value.
    expect(fieldOf("address-taken", "10.0.0.21 is taken")).toEqual([]);
  });
});

test("labels are parsed back as they were written", () => {
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,10}[a-z0-9]$/);
  fc.assert(
    fc.property(fc.dictionary(word, word), (labels) => {
      expect(parseLabels(formatLabels(labels))).toEqual({ ...labels });
    }),
  );
  expect(parseLabels("a=b=c\n lonely \n")).toEqual({ a: "b=c", lonely: "" });
  expect(words(" 10.0.0.1,\n fd00::1 ")).toEqual(["10.0.0.1", "fd00::1"]);
  expect([numberOf(" 7 "), numberOf(""), numberOf("7x")]).toEqual([7, undefined, "7x"]);
});

test("a follower requests what follows the last event that it saw, with the parameters of the API", () => {
  const epoch = "173ebf65-6b0d-4627-8325-239e89e12cd8";
  expect(findCursor(cursorOf(epoch, { revision: 7, index: 3 }))).toEqual({ epoch, revision: 7, index: 3 });
  expect(findCursor(cursorOf(epoch, whollyAt(7)))).toEqual({ epoch, revision: 7 });
  const positions = [
    { revision: 7, index: 2 },
    { revision: 7, index: 3 },
    { revision: 7, index: 4 },
    { revision: 8, index: 0 },
  ];
  expect(positions.map((each) => isNew({ revision: 7, index: 3 }, each))).toEqual([false, false, true, true]);
});

test.each([
  ["", {}],
  ["web-1", { name: "web-1" }],
  ["10.20.1", { name: "10.20.1" }],
  ["10.20.1.5", { ip: "10.20.1.5" }],
  ["10.20.1.999", { name: "10.20.1.999" }],
  ["fd00:20::1", { ip: "fd00:20::1" }],
  ["52:54:00:12:34:56", { mac: "52:54:00:12:34:56" }],
  ["52-54-00-12-34-56", { mac: "52-54-00-12-34-56" }],
])("a search for %j requests %j", (text, ask) => {
  expect(nameOrAddress(text)).toEqual({ ask });
});

test.each([
  [nameOrAddress, "52:54:00", /when it is whole/],
  [nameOrAddress, "fd00:", /when it is whole/],
  [nameOrAddress, "ff:ff:ff:ff:ff:ff", /not unicast/],
  [nameOrAddress, "<b>", /letters, digits/],
  [namesBeginning, "w".repeat(64), /63 at most/],
  [wholeName("host"), "..", /letters, digits/],
  [labelled, "tier=web,", /a term is empty: write key=value, key!=value, key or !key/],
  [labelled, "!", /"!" has no key/],
  [labelled, "=web", /"=web" has no key/],
  [labelled, "tier=we b", /"we b" is not a valid label value/],
  [labelled, "example.com/", /"example.com\/" is not a valid label key/],
  [labelled, "!a=b", /write key!=value/],
])("%o: %j is not requested, and says what is missing", (read, text, missing) => {
  expect(read(text)).toEqual({ missing: expect.stringMatching(missing) });
});

test("every accepted label search is accepted by the controller", () => {
  expect(["tier", "tier=", "tier=web,!retired", "a!=b", " a = b "].map((text) => labelled(text))).toEqual(
    ["tier", "tier=", "tier=web,!retired", "a!=b", " a = b "].map((label) => ({ ask: { label } })),
  );
  expect([labelled(""), wholeName("host")("a"), namesBeginning("..")]).toEqual([
    { ask: {} },
    { ask: { host: "a" } },
    { ask: { name: ".." } },
  ]);
});

describe("what happened on hosts", () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute)).toISOString();
  const event = (sequence: number, more: Partial<OperationalEvent> = {}, run = "r1") => {
    const base = { sequence, kind: "theft", host: "a", subject: "52:54:00:00:00:01", count: 1 } as const;
    return toOperationalCloudEvent({ ...base, first: at(sequence), last: at(sequence), ...more }, "e", run);
  };
  const ids = (events: readonly { id: string }[]) => events.map(({ id }) => id);

  test("is stored once and in order, live or requested, across runs of the controller", () => {
    const known = [event(2), event(3)];
    const more = [event(1), event(2), event(3), event(4)];
    expect(ids(merged(known, more))).toEqual(["1", "2", "3", "4"]);
    expect(ids(merged(more, [event(1, {}, "r2")]))).toEqual(["1", "2", "3", "4", "1"]);
    const many = Array.from({ length: 1_100 }, (_, i) => event(i + 1));
    expect([merged(many, []).length, merged(many, [])[0]?.id]).toEqual([1_024, "77"]);
  });

  test("is sorted among changes by its time, without changing the order of the log", () => {
    // The clock was set back between revisions 7 and 8.
    const changes = [
      { id: "8.0", time: at(2) },
      { id: "7.0", time: at(5) },
    ] as never[];
    expect(ids(byTime(changes, [event(6), event(3), event(1)]))).toEqual(["6", "3", "8.0", "7.0", "1"]);
  });

  test("needs attention if an operator should look into it, once for all repetitions, for a quarter of an hour", () => {
    const happened = [
      event(1, { subject: "52:54:00:00:00:09" }),
      event(20, { count: 2, network: "blue" }),
      event(21, { network: "blue" }),
      event(22, { kind: "host-connected" }),
      event(23, { kind: "host-filter", detail: "iptables drops" }),
      event(24, { kind: "unregistered-guest", host: "b" }),
    ];
    const concerns = [away("c")];
    const said = (seesProblems: boolean) =>
      issuesOf(concerns, happened, { nowMs: Date.parse(at(25)), seesProblems }).map(
        ({ host, tone, title, detail, last }) => [host, tone, title, detail, last],
      );
    const whole = [
      ["c", "bad", "is disconnected", "no agent", undefined],
      ["a", "bad", "a guest sent with the MAC of a VM elsewhere", "52:54:00:00:00:01 · network blue · 3 times", at(21)],
      ["b", "wait", "an unregistered guest sends traffic", "52:54:00:00:00:01", at(24)],
    ];
    expect(said(true)).toEqual(whole);
    // Without access to the host's problems, its reports are shown.
    expect(said(false)).toHaveLength(4);
  });

  test("of one kind on many hosts is one issue that names them, and a reported condition is not listed twice", () => {
    const many = issuesOf(["a", "b", "c", "d", "e"].map(away), [event(1, { condition: "theft" as never })], {
      nowMs: Date.parse(at(1)),
      seesProblems: true,
    });
    expect(many.map(({ host, title, others }) => [host, title, others])).toEqual([
      ["a", "are disconnected", ["b", "c", "d", "e"]],
    ]);
    // The reason is that of the first: it has numbers of its own.
    expect(many[0]?.detail).toMatch(/^a: /);
    expect(issuesOf(["a", "b", "c"].map(away), [], { nowMs: 0, seesProblems: true })).toHaveLength(3);
  });

  test("has ended when it was repaired, or when a recurring report stops", () => {
    const ends = (events: readonly ReturnType<typeof event>[], minute: number, hosts: readonly string[] = []) => {
      const concerns = hosts.map(away);
      return issuesOf(concerns, events, { nowMs: Date.parse(at(minute)), seesProblems: true })
        .filter(({ last }) => last !== undefined)
        .map(({ end }) => end);
    };
    expect(ends([event(1)], 2)).toEqual([undefined]);
    expect(ends([event(1)], 4)).toEqual(["ended"]);
    // A disconnected host reports nothing, whatever happens there.
    expect(ends([event(1)], 4, ["a"])).toEqual([undefined]);
    const drift = (sequence: number) => event(sequence, { kind: "drift-repaired", subject: "entry" });
    expect(ends([drift(1)], 1)).toEqual(["repaired"]);
    expect(ends([drift(1), drift(2)], 2)).toEqual([undefined]);
    expect(ends([drift(1), drift(2)], 6)).toEqual(["repaired"]);
    expect(ends([event(1, { kind: "unregistered-guest", network: "blue" })], 9)).toEqual([undefined]);
  });

  test("is resolved when the inventory says so of the address that was reported", () => {
    const [mac, other] = ["52:54:00:00:00:01", "52:54:00:00:00:02"] as const;
    const questionOf = (kind: OperationalEvent["kind"], more: Partial<OperationalEvent> = {}) => {
      const events = [event(1, { kind, network: "blue", ...more })];
      const [issue] = issuesOf([], events, { nowMs: Date.parse(at(1)), seesProblems: true });
      if (!issue?.question) throw new Error(`${kind} asks nothing`);
      return issue.question;
    };
    const vm = (host: string, its: string, network = "blue") =>
      ({ name: "web", host, interfaces: [{ name: "eth0", network, mac: its, ips: ["10.20.1.1"] }] }) as never;
    const unregistered = questionOf("unregistered-guest");
    const answers = [[], [vm("b", mac)], [vm("a", mac, "red")], [vm("a", mac)]];
    expect(answers.map((vms) => isAnswered(unregistered, vms))).toEqual([false, false, false, true]);
    expect(answers.map((vms) => isAnswered(questionOf("guest-never-seen"), vms))).toEqual([true, true, true, false]);
    // In the agent's own words.
    const ip = "10.20.1.1" as never;
    const found = findConflict(parseVni(100), { mac: parseMac(mac), ip }, { kind: "local", mac: other } as never);
    const conflict = questionOf("address-conflict", { subject: ip, ...(found ? { detail: found.detail } : {}) });
    expect([[], [vm("b", other)], [vm("b", mac)]].map((vms) => isAnswered(conflict, vms))).toEqual([true, false, true]);
    // There is nothing to ask about what belongs to no network, or stands for many.
    const [nameless] = issuesOf([], [event(1, { kind: "unregistered-guest" })], {
      nowMs: Date.parse(at(1)),
      seesProblems: true,
    });
    expect(nameless?.question).toBeUndefined();
  });

  test("is checked again only if a change concerns it", () => {
    const question = {
      kind: "registered-here",
      host: "a",
      network: "blue",
      subject: "52:54:00:00:00:01",
      detail: "",
    } as const;
    const change = (mac: string, type = "nearmiss.vm.created") =>
      ({ type, subject: "vms/web", data: { before: null, after: { interfaces: [{ mac, ips: [] }] } } }) as never;
    expect(bearsOn(question, change("52:54:00:00:00:01"))).toBe(true);
    expect(bearsOn(question, change("52:54:00:00:00:02"))).toBe(false);
    expect(bearsOn(question, event(1, { kind: "host-connected" }))).toBe(false);
    const move = { ...question, kind: "followed", subject: "web" } as const;
    expect(bearsOn(move, change("52:54:00:00:00:02", "nearmiss.vm.updated"))).toBe(true);
    expect(bearsOn(move, event(1, { kind: "host-connected" }))).toBe(true);
  });
});

test("events from the log and from the stream are one list, newest first", () => {
  const change = (revision: number, index = 0) => ({ id: `${revision}.${index}`, revision, index }) as never;
  const fresh = [change(3), change(2, 1)];
  expect(newestFirst(fresh, [change(5), change(4), change(3), change(2)]).map(({ id }) => id)).toEqual([
    "5.0",
    "4.0",
    "3.0",
    "2.1",
    "2.0",
  ]);
});

test("messages of controller and agents start like a sentence, unless with a name chosen by a user", () => {
  expect(["is required", '"we b" is no value', "web-1 is taken", "10.0.0.1 is taken", "host a"].map(sentence)).toEqual([
    "Is required",
    '"we b" is no value',
    "web-1 is taken",
    "10.0.0.1 is taken",
    "Host a",
  ]);
});

describe("the map", () => {
  const counts = [1, 2, 4, 5, 6, 12, 13, 100, 500, 2_000];
  test.each(counts.flatMap((count) => [["wide", count] as const, ["narrow", count] as const]))(
    "gives, if it is %s, each of %i hosts a place of its own inside the drawing",
    (room, count) => {
      const names = Array.from({ length: count }, (_, i) => `node-${String(i).padStart(4, "0")}`);
      const { spots, card, width, height, labels } = layOut(names, room);
      expect(spots).toHaveLength(count);
      for (const { x, y } of spots) {
        expect(Math.min(x - card.width / 2, width - x - card.width / 2)).toBeGreaterThanOrEqual(0);
        expect(Math.min(y - card.height / 2, height - y - card.height / 2)).toBeGreaterThanOrEqual(0);
      }
      const overlap = spots.some((a, i) =>
        spots.slice(i + 1).some((b) => Math.abs(a.x - b.x) < card.width && Math.abs(a.y - b.y) < card.height),
      );
      expect(overlap).toBe(false);
      // Its text distinguishes it from the others.
      if (count <= 500) expect(new Set(labels).size).toBe(count);
    },
  );

  test("moves from host to host with arrow keys, and never out", () => {
    const grid = layOut(Array.from({ length: 40 }, (_, i) => `h${i}`));
    expect(neighbour(grid, 0, "ArrowDown")).toBe(grid.columns);
    expect(neighbour(grid, 0, "ArrowUp")).toBe(0);
    expect(neighbour(grid, 39, "ArrowRight")).toBe(39);
    expect(neighbour(grid, 5, "End")).toBe(39);
    expect(neighbour(layOut(["a", "b", "c"]), 2, "ArrowRight")).toBe(0);
    expect(commonPrefix(["node-101", "node-102"])).toBe("node-10");
  });

  test("draws both directions between two hosts as one tunnel", () => {
    const tunnels = tunnelsOf({
      tunnels: [
        [0, 1, 3],
        [1, 0, 2],
        [2, 1, 1],
      ],
    });
    expect(tunnels).toEqual([
      { a: 0, b: 1, aToB: 3, bToA: 2 },
      { a: 1, b: 2, aToB: 0, bToA: 1 },
    ]);
    expect(degrees(tunnels, 3)).toEqual([1, 2, 1]);
    expect(peersOf(tunnels, 1)).toEqual([
      { index: 0, out: 2, back: 3 },
      { index: 2, out: 0, back: 1 },
    ]);
  });
});
