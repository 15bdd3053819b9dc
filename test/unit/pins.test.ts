import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aliasOfPinned, behaviourInAlias, planPorts, samePins, wantedPins } from "../../node-agent/tables/pins.ts";
import type { GuestPort, PortBehaviour, PortChange } from "../../node-agent/tables/port.ts";
import { mac } from "../support/addresses.ts";

const macs = [1, 2, 3].map((n) => mac(`52:54:00:00:00:0${n}`));
const [one, two] = macs as [(typeof macs)[0], (typeof macs)[0]];

const port = (ifindex: number, fields: Partial<GuestPort> = {}): GuestPort => ({
  ifindex,
  name: `tap${ifindex}`,
  carrier: true,
  learning: true,
  flood: true,
  pinned: [],
  learned: [],
  ...fields,
});

/** The kernel's result of the changes: a MAC is on one port of a bridge. */
function carryOut(ports: readonly GuestPort[], changes: readonly PortChange[]): GuestPort[] {
  let now = [...ports];
  const set = (ifindex: number, change: (port: GuestPort) => GuestPort): void => {
    now = now.map((each) => (each.ifindex === ifindex ? change(each) : each));
  };
  for (const change of changes) {
    const { ifindex } = change;
    if (change.kind === "behave") set(ifindex, (each) => ({ ...each, learning: change.learning, flood: change.flood }));
    if (change.kind === "alias") {
      set(ifindex, ({ alias: _, ...each }) => (change.alias === "" ? each : { ...each, alias: change.alias }));
    }
    if (change.kind === "pin") {
      now = now.map((each) => ({ ...each, pinned: each.pinned.filter((known) => known !== change.mac) }));
      set(ifindex, (each) => ({ ...each, pinned: [...each.pinned, change.mac] }));
    }
    if (change.kind === "unpin") {
      set(ifindex, (each) => ({ ...each, pinned: each.pinned.filter((known) => known !== change.mac) }));
    }
  }
  return now;
}

describe("pinning a guest's address to its port", () => {
  test("the port's former settings are recorded on it first, and frames are blocked only when the address is set there", () => {
    expect(planPorts(wantedPins([{ mac: one, port: "tap5" }]), [port(5), port(6)], new Map())).toEqual([
      { kind: "alias", ifindex: 5, alias: "nearmiss-port learning on flood on" },
      { kind: "pin", ifindex: 5, mac: one },
      { kind: "behave", ifindex: 5, learning: false, flood: false },
    ]);
  });

  test("a port that awaits a migration behaves as with an address, which is set there with the commit", () => {
    const awaited = wantedPins([], [{ mac: one, port: "tap5" }, { mac: two }]);
    const [alias, , behave] = planPorts(wantedPins([{ mac: one, port: "tap5" }]), [port(5)], new Map());
    expect(planPorts(awaited, [port(5), port(6)], new Map())).toEqual([alias, behave]);
    const ready = carryOut(
      [port(5)],
      [alias, behave].flatMap((each) => each ?? []),
    );
    expect(planPorts(awaited, ready, new Map())).toEqual([]);
    const here = wantedPins([{ mac: one, port: "tap5" }]);
    expect(samePins(awaited, here)).toBe(false);
    expect(planPorts(here, ready, new Map())).toEqual([{ kind: "pin", ifindex: 5, mac: one }]);
    // Another guest is there already: its address stays.
    expect(wantedPins([{ mac: two, port: "tap5" }], [{ mac: one, port: "tap5" }])).toEqual(
      wantedPins([{ mac: two, port: "tap5" }]),
    );
    expect(carryOut(ready, planPorts(new Map(), ready, new Map()))).toEqual([port(5)]);
  });

  test("the former settings come from the port's alias, from memory if the alias is foreign, and else are the default", () => {
    const pinned = { learning: false, flood: false, pinned: [one] };
    const written = port(5, { ...pinned, alias: aliasOfPinned({ learning: false, flood: true }) });
    const foreign = port(6, { ...pinned, alias: "theirs" });
    const back = (each: GuestPort, before: ReadonlyMap<number, PortBehaviour> = new Map()): PortChange[] =>
      planPorts(new Map(), [each], before);
    expect(back(written)).toEqual([
      { kind: "behave", ifindex: 5, learning: false, flood: true },
      { kind: "alias", ifindex: 5, alias: "" },
      { kind: "unpin", ifindex: 5, mac: one },
    ]);
    expect(back(foreign, new Map([[6, { learning: true, flood: false }]]))[0]).toMatchObject({
      learning: true,
      flood: false,
    });
    expect(back(foreign)[0]).toMatchObject({ learning: true, flood: true });
  });

  test("an unregistered port is left alone, whatever its settings and its alias", () => {
    const theirs = [port(5, { learning: false }), port(6, { flood: false, alias: "theirs" })];
    expect(planPorts(wantedPins([{ mac: one, port: "tap7" }, { mac: two }]), theirs, new Map())).toEqual([]);
  });

  test("a port that is as it should be stays as it is, pinned or restored", () => {
    const pinned = port(5, {
      learning: false,
      flood: false,
      pinned: [one],
      alias: aliasOfPinned({ learning: true, flood: true }),
    });
    expect(planPorts(wantedPins([{ mac: one, port: "tap5" }]), [pinned], new Map())).toEqual([]);
    const restored = port(6, { alias: "theirs" });
    expect(planPorts(new Map(), [restored], new Map([[6, { learning: true, flood: true }]]))).toEqual([]);
    const halfway = port(7, { alias: aliasOfPinned({ learning: true, flood: true }) });
    expect(planPorts(new Map(), [halfway], new Map())).toEqual([{ kind: "alias", ifindex: 7, alias: "" }]);
  });

  test.each([{ learning: true }, { flood: true }])("a pinned port that was set back is set again: %j", (drift) => {
    const drifted = port(5, { learning: false, flood: false, pinned: [one], alias: "theirs", ...drift });
    expect(planPorts(wantedPins([{ mac: one, port: "tap5" }]), [drifted], new Map())).toEqual([
      { kind: "behave", ifindex: 5, learning: false, flood: false },
    ]);
  });

  test("wishes are equal where each port has the same addresses, in whatever order they are named", () => {
    const wish = (...pairs: [typeof one, string?][]) =>
      wantedPins(pairs.map(([each, name]) => ({ mac: each, ...(name === undefined ? {} : { port: name }) })));
    const both = wish([one, "tap1"], [two, "tap1"]);
    expect(samePins(both, wish([two, "tap1"], [one, "tap1"]))).toBe(true);
    expect(samePins(wish([one]), wish())).toBe(true);
    for (const other of [
      wish(),
      wish([one, "tap1"]),
      wish([one, "tap2"], [two, "tap2"]),
      wish([one, "tap1"], [two, "tap2"]),
      wish([one, "tap1"], [macs[2] as typeof one, "tap1"]),
    ]) {
      expect([samePins(both, other), samePins(other, both)]).toEqual([false, false]);
    }
  });

  test("only our own alias is parsed", () => {
    expect(behaviourInAlias("nearmiss-port learning on flood off")).toEqual({ learning: true, flood: false });
    for (const other of [
      undefined,
      "",
      "theirs",
      "nearmiss blue epoch",
      "nearmiss-port learning maybe flood on",
      "x nearmiss-port learning on flood on",
      "nearmiss-port learning on flood on x",
    ]) {
      expect(behaviourInAlias(other)).toBeUndefined();
    }
  });

  test("from any start the plan reaches the desired state, then plans nothing, and without pins restores the former settings", () => {
    const anyPort = fc.record({ learning: fc.boolean(), flood: fc.boolean(), theirs: fc.boolean() });
    const anyWish = fc.uniqueArray(
      fc.record({ mac: fc.constantFrom(...macs), port: fc.constantFrom("tap1", "tap2", "tap9") }),
      {
        selector: (wish) => wish.mac,
      },
    );
    fc.assert(
      fc.property(
        fc.array(anyPort, { minLength: 1, maxLength: 3 }),
        fc.array(anyWish, { maxLength: 4 }),
        (starts, wishes) => {
          const start = starts.map(({ theirs, ...fields }, i) =>
            port(i + 1, { ...fields, ...(theirs ? { alias: "theirs" } : {}) }),
          );
          const before = new Map(start.map(({ ifindex, learning, flood }) => [ifindex, { learning, flood }]));
          let now = start;
          for (const wish of [...wishes, []]) {
            const wanted = wantedPins(wish);
            now = carryOut(now, planPorts(wanted, now, before));
            for (const each of now) {
              const want = [...(wanted.get(each.name) ?? [])].sort();
              expect([...each.pinned].sort()).toEqual(want);
              if (want.length > 0) expect([each.learning, each.flood]).toEqual([false, false]);
            }
            expect(samePins(wanted, wantedPins(wish))).toBe(true);
            expect(planPorts(wanted, now, before).filter(({ kind }) => kind === "pin" || kind === "unpin")).toEqual([]);
          }
          expect(now).toEqual(start);
        },
      ),
    );
  });
});
