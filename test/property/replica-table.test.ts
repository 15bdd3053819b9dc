// A network's table in memory against a map, and what it takes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Locations } from "../../node-agent/tables/locations.ts";
import { macPrefix, readRemote } from "../../node-agent/tables/replica-rows.ts";
import { ReplicaTable } from "../../node-agent/tables/replica-table.ts";
import { Replicas } from "../../node-agent/tables/replicas.ts";
import {
  type Answer,
  type BindingKey,
  ipToWords,
  keyText,
  macToWords,
  wordsToIp,
  wordsToMac,
} from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { runs } from "../support/property-runs.ts";

const blue = vni(100);
const macs = ["00:00:00:00:00:01", "52:54:00:00:00:01", "52:54:80:ff:ff:ff", "fe:ff:ff:ff:ff:fe"];
const ips = ["10.0.0.1", "255.255.255.254", "1.2.3.4", "fd00::1", "fd00::2", "fe80::ffff:a00:1", "::ffff:0:a00:1"];
const someKey: fc.Arbitrary<BindingKey> = fc.constantFrom(
  ...macs.map((each): BindingKey => ({ kind: "mac", vni: blue, mac: mac(each) })),
  ...ips.map((each): BindingKey => ({ kind: "ip", vni: blue, ip: ip(each) })),
);
const someBinding = fc.record(
  {
    mac: fc.constantFrom(...macs).map(mac),
    host: fc.constantFrom("a", "b"),
    vtep: fc.constantFrom("192.0.2.1", "2001:db8::1").map(vtep),
    vtepPort: fc.constantFrom(4789, 65_535),
    local: fc.constant(true as const),
    router: fc.constant(true as const),
  },
  { requiredKeys: ["mac", "host", "vtep", "vtepPort"], noNullPrototype: true },
);
const someRevision = fc.oneof(fc.nat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 45 + 7)).map(rev);
const someAnswer: fc.Arbitrary<Answer> = fc.record(
  { key: someKey, revision: someRevision, binding: fc.option(someBinding, { nil: null }) },
  { noNullPrototype: true },
);

test("has what a map would have, whatever is put in and taken out", () => {
  fc.assert(
    fc.property(fc.array(someAnswer, { maxLength: 200 }), fc.nat(2 ** 32 - 1), (answers, seed) => {
      const locations = new Locations();
      const table = new ReplicaTable(blue, locations, seed);
      const model = new Map<string, Answer>();
      for (const answer of answers) {
        table.take(answer);
        if (answer.binding) model.set(keyText(answer.key), answer);
        else model.delete(keyText(answer.key));
        expect(table.find(answer.key)).toEqual(model.get(keyText(answer.key)));
      }
      expect(table.size).toBe(model.size);
      for (const answer of model.values()) expect(table.find(answer.key)).toEqual(answer);
      const byText = ({ key: a }: Answer, { key: b }: Answer) => (keyText(a) < keyText(b) ? -1 : 1);
      expect([...table.answers()].sort(byText)).toEqual([...model.values()].sort(byText));
      table.clear();
      expect([table.size, locations.size]).toEqual([0, 0]);
    }),
    { numRuns: runs(300) },
  );
});

/** The key as a miss has it. */
const wordsOf = (key: BindingKey): number[] => {
  const words = key.kind === "ip" ? ipToWords(key.ip) : [macPrefix, 0, ...macToWords(key.mac)];
  return [...Uint32Array.from(words)];
};
const nothingRead = () => ({
  macHigh: -1,
  macLow: -1,
  router: false,
  vtep: new Uint32Array(4),
  vtepPort: -1,
  revisionHigh: -1,
  revisionLow: -1,
});

/** What another thread reads, as `find` would say it. */
function readAs(table: ReplicaTable, key: BindingKey): Partial<Answer> | undefined {
  const into = nothingRead();
  if (!readRemote(table.shared, wordsOf(key), into)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = into.vtep;
  const remote = { mac: wordsToMac(into.macHigh, into.macLow | 0), vtep: wordsToIp(a | 0, b | 0, c | 0, d | 0) };
  return {
    revision: rev(into.revisionHigh * 2 ** 32 + into.revisionLow),
    binding: { ...remote, vtepPort: into.vtepPort, ...(into.router ? { router: true } : {}) } as never,
  };
}

test("another thread finds every binding elsewhere, and nothing else", () => {
  fc.assert(
    fc.property(fc.array(someAnswer, { minLength: 20, maxLength: 100 }), fc.nat(2 ** 32 - 1), (answers, seed) => {
      const table = new ReplicaTable(blue, new Locations(), seed);
      for (const answer of answers) {
        table.take(answer);
        const keys = answers.map(({ key }) => key);
        for (const key of keys) {
          const found = table.find(key);
          const { host: _, local, ...binding } = found?.binding ?? {};
          const expected = !found || local ? undefined : { revision: found.revision, binding };
          expect(readAs(table, key)).toEqual(expected);
        }
      }
    }),
    { numRuns: runs(50) },
  );
});

test("another thread reads nothing of a table that is being changed, and again what changed under it", () => {
  const table = new ReplicaTable(blue, new Locations(), 7);
  const key: BindingKey = { kind: "ip", vni: blue, ip: ip("10.0.0.1") };
  const binding = { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.1"), vtepPort: 4789 };
  table.take({ key, revision: rev(1), binding });
  const { version } = table.shared;
  const words = wordsOf(key);
  Atomics.add(version, 0, 1);
  expect(readRemote(table.shared, words, nothingRead())).toBe(false);
  Atomics.add(version, 0, 1);
  // The first time it looks for another key, while the table changes.
  let first = true;
  const changing = words.map(() => 0);
  for (const [i, word] of words.entries()) {
    Object.defineProperty(changing, i, {
      get: () => {
        if (!first || i < words.length - 1) return first ? 0 : word;
        first = false;
        Atomics.add(version, 0, 2);
        return 0;
      },
    });
  }
  expect(readRemote(table.shared, changing, nothingRead())).toBe(true);
  // It gives up on a table that never rests.
  const never = words.map((word) => word);
  let reads = 0;
  Object.defineProperty(never, 0, {
    get: () => {
      reads += 1;
      Atomics.add(version, 0, 2);
      return words[0];
    },
  });
  expect([readRemote(table.shared, never, nothingRead()), reads < 100]).toEqual([false, true]);
});

const hex = (n: number) => n.toString(16);
/** An interface with both families. */
function interfaceOf(n: number): Answer[] {
  const own = mac(
    `52:54:00:${hex(n >> 16).padStart(2, "0")}:${hex((n >> 8) & 255).padStart(2, "0")}:${hex(n & 255).padStart(2, "0")}`,
  );
  const binding = { mac: own, host: `h${n % 50}`, vtep: vtep(`192.0.2.${n % 50}`), vtepPort: 4789 };
  const keys: BindingKey[] = [
    { kind: "mac", vni: blue, mac: own },
    { kind: "ip", vni: blue, ip: ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`) },
    { kind: "ip", vni: blue, ip: ip(`fd00::${hex(n >> 16)}:${hex(n & 0xffff)}`) },
  ];
  return keys.map((key) => ({ key, revision: rev(n + 1), binding }));
}

test("finds and forgets as many keys as come and go, in the place of the first", () => {
  const table = new ReplicaTable(blue, new Locations(), 7);
  const [kept] = interfaceOf(0);
  if (!kept) throw new Error("an interface has keys");
  table.take(kept);
  const { bytes } = table;
  for (let n = 1; n < 2_000; n++) {
    for (const answer of interfaceOf(n)) table.take(answer);
    for (const answer of interfaceOf(n)) expect(table.find(answer.key)).toEqual(answer);
    for (const { key } of interfaceOf(n).reverse()) table.take({ key, revision: rev(1), binding: null });
    for (const { key } of interfaceOf(n)) expect(table.find(key)).toBeUndefined();
  }
  expect([table.size, table.bytes]).toEqual([1, bytes]);
  expect(table.find(kept.key)).toEqual(kept);
});

test("leaves nothing out that was there while its parts are divided, for a reader and for another thread", () => {
  let shared = 0;
  const table: ReplicaTable = new ReplicaTable(blue, new Locations(), 7, () => {
    shared += 1;
    seen = table.shared;
  });
  let seen = table.shared;
  const earlier = Array.from({ length: 3_000 }, (_, n) => interfaceOf(n)).flat();
  for (const answer of earlier) table.take(answer);
  const later = Array.from({ length: 12_000 }, (_, n) => interfaceOf(3_000 + n)).flat();
  const added = later.values();
  const listed = new Set<string>();
  const copy = new ReplicaTable(blue, new Locations(), 8);
  const answers = table.answers();
  for (const lot of table.lots(500)) {
    copy.takeRows(lot);
    for (let n = 0; n < 500; n++) {
      const { value: answer } = answers.next();
      if (answer) listed.add(keyText(answer.key));
    }
    for (let n = 0; n < 1_500; n++) {
      const { value: answer } = added.next();
      if (answer) table.take(answer);
    }
  }
  for (const answer of later) table.take(answer);
  for (const { key } of answers) listed.add(keyText(key));
  for (const answer of earlier) {
    expect(listed.has(keyText(answer.key))).toBe(true);
    expect(copy.find(answer.key)).toEqual(answer);
  }
  // What it was last given still finds everything.
  for (const { key } of [...earlier, ...later])
    expect(readRemote({ ...seen, version: table.shared.version }, wordsOf(key), nothingRead())).toBe(true);
  expect(shared).toBeGreaterThan(10);
  expect(new Set(table.shared.parts).size).toBeGreaterThan(8);
  for (const { key } of earlier) table.take({ key, revision: rev(9), binding: null });
  expect(table.size).toBe(later.length);
  for (const answer of later) expect(table.find(answer.key)).toEqual(answer);
  for (const { key } of earlier) expect(table.find(key)).toBeUndefined();
});

describe("memory", () => {
  test("is 40 bytes a key at most, and 128 an interface with both families", () => {
    const table = new ReplicaTable(blue, new Locations(), 7);
    let most = 0;
    for (let n = 0; n < 30_000; n++) {
      for (const answer of interfaceOf(n)) table.take(answer);
      if (n > 1_000) most = Math.max(most, table.bytes / table.size);
    }
    expect(most).toBeLessThanOrEqual(40);
    expect(table.bytes / 30_000).toBeLessThanOrEqual(128);
    for (let n = 0; n < 30_000; n += 2)
      for (const { key } of interfaceOf(n)) table.take({ key, revision: rev(1), binding: null });
    expect(table.size).toBe(45_000);
    for (let n = 1; n < 30_000; n += 997)
      for (const each of interfaceOf(n))
        expect(table.find(each.key)?.binding).toEqual(n % 2 === 0 ? undefined : each.binding);
  });

  test("beyond the limit a network is dropped, and another stays", () => {
    const red = vni(200);
    const replicas = new Replicas({ maxBytes: 64 * 1_024, random: () => 0.5 });
    const answers = Array.from({ length: 400 }, (_, n) => interfaceOf(n)).flat();
    for (const each of [blue, red]) replicas.begin(each);
    expect(replicas.takeBase(red, answers.slice(0, 9), { isWhole: true, end: true })).toBe(true);
    expect(replicas.takeBase(blue, answers.slice(0, 600), { isWhole: true, end: false })).toBe(true);
    expect(replicas.takeBase(blue, answers.slice(600), { isWhole: true, end: false })).toBe(true);
    const more = Array.from({ length: 400 }, (_, n) => interfaceOf(1_000 + n)).flat();
    expect(replicas.takeDelta(blue, more)).toBe(false);
    expect([replicas.isComplete(blue), replicas.isComplete(red), replicas.size(red)]).toEqual([false, true, 9]);
    expect(replicas.bytes).toBeLessThan(2_048);
  });

  test("of an earlier table is given to the base that replaces it", () => {
    const replicas = new Replicas({ maxBytes: 64 * 1_024, random: () => 0.5 });
    const answers = Array.from({ length: 400 }, (_, n) => interfaceOf(n)).flat();
    const whole = { isWhole: true, end: true };
    replicas.begin(blue);
    expect(replicas.takeBase(blue, answers, whole)).toBe(true);
    replicas.interrupt(undefined, 0);
    replicas.begin(blue);
    expect(replicas.takeBase(blue, answers.slice(0, 900), { ...whole, end: false })).toBe(true);
    expect(replicas.has(blue)).toBe(false);
    expect(replicas.takeBase(blue, answers.slice(900), whole)).toBe(true);
    expect(replicas.size(blue)).toBe(1_200);
  });
});

describe("a miss", () => {
  const [first] = interfaceOf(1);
  const [absent] = interfaceOf(2);
  if (!first || !absent) throw new Error("an interface has keys");

  test("is answered by a complete table, also that nothing is registered", () => {
    const replicas = new Replicas({ random: () => 0.5 });
    expect([replicas.lookUp(first.key, 0), replicas.find(first.key)]).toEqual([undefined, undefined]);
    replicas.begin(blue);
    expect(replicas.find(first.key)).toBeUndefined();
    replicas.takeBase(blue, [first], { isWhole: true, end: false });
    expect(replicas.lookUp(first.key, 0)).toBeUndefined();
    replicas.takeBase(blue, [], { isWhole: true, end: true });
    expect(replicas.lookUp(first.key, 0)).toEqual(first);
    expect(replicas.lookUp(absent.key, 0)).toBeNull();
  });

  test("is answered without a session from what was registered, until a new one has begun", () => {
    const replicas = new Replicas({ random: () => 0.5 });
    replicas.begin(blue);
    replicas.takeBase(blue, [first], { isWhole: true, end: true });
    replicas.interrupt(rev(5), 0);
    expect(replicas.lookUp(first.key, 0)).toEqual(first);
    expect(replicas.lookUp(absent.key, 0)).toBeUndefined();
    expect(replicas.begin(blue)).toBe(5);
    expect(replicas.lookUp(first.key, 0)).toBeUndefined();
    replicas.takeBase(blue, [], { isWhole: false, end: true });
    expect(replicas.lookUp(first.key, 0)).toEqual(first);
  });

  test("is not answered by a table that is without a session for too long", () => {
    const replicas = new Replicas({ random: () => 0.5, maxStaleMs: 1_000 });
    replicas.begin(blue);
    replicas.takeBase(blue, [first], { isWhole: true, end: true });
    expect(replicas.lookUp(first.key, 9_999)).toEqual(first);
    replicas.interrupt(rev(5), 10_000);
    // A further attempt that fails is not a session.
    replicas.interrupt(rev(5), 10_900);
    expect(replicas.lookUp(first.key, 11_000)).toEqual(first);
    expect(replicas.alone(11_000)).toEqual([{ vni: blue, sinceMs: 10_000, isStale: false }]);
    expect(replicas.lookUp(first.key, 11_001)).toBeUndefined();
    expect(replicas.alone(11_001)).toEqual([{ vni: blue, sinceMs: 10_000, isStale: true }]);
    replicas.begin(blue);
    replicas.takeBase(blue, [], { isWhole: false, end: true });
    expect(replicas.lookUp(first.key, 20_000)).toEqual(first);
    expect(replicas.alone(20_000)).toEqual([]);
  });
});

test("is copied row by row into another table, also while it changes, and key by key", () => {
  fc.assert(
    fc.property(
      fc.array(someAnswer, { maxLength: 60 }),
      fc.array(someAnswer, { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      (before, during, maxRows) => {
        const places = [new Locations(), new Locations()] as const;
        const table = new ReplicaTable(blue, places[0], 1);
        const copy = new ReplicaTable(blue, places[1], 2);
        for (const answer of before) table.take(answer);
        const changes = during.values();
        for (const lot of table.lots(maxRows)) {
          copy.takeRows(lot);
          const { value: change } = changes.next();
          if (change) table.take(change);
        }
        for (const change of changes) table.take(change);
        const { found, missing } = table.packed(during.map(({ key }) => key));
        copy.takeRows(found);
        copy.removeKeys(missing);
        const byText = ({ key: a }: Answer, { key: b }: Answer) => (keyText(a) < keyText(b) ? -1 : 1);
        expect([...copy.answers()].sort(byText)).toEqual([...table.answers()].sort(byText));
        expect(places[1].size).toBe(places[0].size);
      },
    ),
    { numRuns: runs(300) },
  );
});
