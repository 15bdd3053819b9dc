// A network's table in memory against a map, and what it takes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Locations } from "../../node-agent/tables/locations.ts";
import { ReplicaTable } from "../../node-agent/tables/replica-table.ts";
import { Replicas } from "../../node-agent/tables/replicas.ts";
import { type Answer, type BindingKey, keyText } from "../../schema/address/index.ts";
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
    replicas.interrupt(undefined);
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
    expect(replicas.lookUp(first.key)).toBeUndefined();
    replicas.begin(blue);
    replicas.takeBase(blue, [first], { isWhole: true, end: false });
    expect(replicas.lookUp(first.key)).toBeUndefined();
    replicas.takeBase(blue, [], { isWhole: true, end: true });
    expect(replicas.lookUp(first.key)).toEqual(first);
    expect(replicas.lookUp(absent.key)).toBeNull();
  });

  test("is answered without a session from what was registered, until a new one has begun", () => {
    const replicas = new Replicas({ random: () => 0.5 });
    replicas.begin(blue);
    replicas.takeBase(blue, [first], { isWhole: true, end: true });
    replicas.interrupt(rev(5));
    expect(replicas.lookUp(first.key)).toEqual(first);
    expect(replicas.lookUp(absent.key)).toBeUndefined();
    expect(replicas.begin(blue)).toBe(5);
    expect(replicas.lookUp(first.key)).toBeUndefined();
    replicas.takeBase(blue, [], { isWhole: false, end: true });
    expect(replicas.lookUp(first.key)).toEqual(first);
  });
});
