// Whatever guests ask and the controller sends, a host's memory and tables stay within its caps, and the least recently
// used entries are evicted.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maxIdleAtOnce } from "../../node-agent/tables/ageing.ts";
import { type Entry, entryKey } from "../../node-agent/tables/entry.ts";
import { type Evicted, HeldAnswers } from "../../node-agent/tables/held.ts";
import { maxAbsentPerNetwork, type Occasion } from "../../node-agent/tables/held-network.ts";
import { type Answer, type Binding, type BindingKey, keyText, type MacAddress } from "../../schema/address/index.ts";
import { ip, mac, rev, someIp, someMac, someVtep, vni, vtep } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";
import { runs } from "../support/property-runs.ts";

const networks = [vni(100), vni(200)] as const;
const [network] = networks;
const idleMs = 1_000;
const ipOf = (n: number) => ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
const macOf = (n: number): MacAddress =>
  mac(`52:54:00:${(n + 0x1000000).toString(16).slice(1).match(/../g)?.join(":")}`);
const remote = (n: number): Binding => ({ mac: macOf(n), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 });
const own = (on: (typeof networks)[number]): Answer => {
  const address = mac("52:54:00:ff:00:01");
  const binding = { mac: address, host: "a", vtep: vtep("192.0.2.1"), vtepPort: 4789, local: true } as const;
  return { key: { kind: "mac", vni: on, mac: address }, revision: rev(1), binding };
};
const answerTo = (address: number, to: number, revision = 1): Answer => ({
  key: { kind: "ip", vni: network, ip: ipOf(address) },
  revision: rev(revision),
  binding: remote(to),
});
const sorted = (entries: Iterable<Entry>): Entry[] =>
  [...entries].sort((a, b) => entryKey(a).localeCompare(entryKey(b)));
const texts = ({ released }: Evicted): string[] => released.map(keyText).sort();

type Step =
  | { readonly kind: "take"; readonly answers: readonly Answer[]; readonly occasion: Occasion }
  | { readonly kind: "use"; readonly mac: MacAddress }
  | { readonly kind: "age" };

const someAnswer: fc.Arbitrary<Answer> = fc
  .record({
    on: fc.constantFrom(...networks),
    ip: someIp,
    mac: someMac,
    vtep: someVtep,
    byIp: fc.boolean(),
    // Mostly remote VMs.
    what: fc.constantFrom("remote", "remote", "remote", "local", "gone"),
    revision: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ on, ip, mac, vtep, byIp, what, revision }) => {
    const key: BindingKey = byIp ? { kind: "ip", vni: on, ip } : { kind: "mac", vni: on, mac };
    const binding: Binding = { mac, host: "h", vtep, vtepPort: 4789, ...(what === "local" ? { local: true } : {}) };
    return { key, revision: rev(revision), binding: what === "gone" ? null : binding };
  });
const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc
      .record({
        answers: fc.array(someAnswer, { maxLength: 4 }),
        occasion: fc.constantFrom<Occasion>("asked", "told"),
      })
      .map((each): Step => ({ kind: "take", ...each })),
    someMac.map((mac): Step => ({ kind: "use", mac })),
    fc.constant<Step>({ kind: "age" }),
  ),
  { size: "max", maxLength: 30 },
);

describe("caps", () => {
  test("are kept at every step; tables follow; evicted keys are released, and released keys are evicted", async () => {
    await fc.assert(
      fc.asyncProperty(
        someSteps,
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 2, max: 8 }),
        async (steps, perNetwork, perHost) => {
          const held = new HeldAnswers({ perNetwork, perHost });
          let nowMs = 0;
          const tables = new FakeTables(new Set(networks), () => nowMs);
          const carryOut = async ({ operations, released }: Evicted): Promise<void> => {
            await tables.apply(operations);
            const keys = new Set(held.keys().map(keyText));
            expect(released.filter((key) => keys.has(keyText(key)))).toEqual([]);
          };
          for (const step of steps) {
            nowMs += 300;
            if (step.kind === "use") for (const on of networks) tables.use(on, step.mac);
            else if (step.kind === "take") await carryOut(held.take(step.answers, nowMs, step.occasion));
            else {
              for (const on of networks) {
                const ages = await tables.idleMs(on);
                const evicted = held.age(on, ages, nowMs, idleMs);
                for (const key of evicted.released) {
                  if (key.kind === "mac") expect(ages.get(key.mac)).toBeGreaterThanOrEqual(idleMs);
                }
                await carryOut(evicted);
              }
            }
            let all = 0;
            for (const on of networks) {
              const actual = (await tables.list(on)).map(({ entry }) => entry);
              expect(sorted(actual)).toEqual(sorted(held.desired(on).values()));
              const addresses = actual.filter(({ kind }) => kind !== "bridge").length;
              expect(addresses).toBeLessThanOrEqual(perNetwork);
              all += addresses;
            }
            expect(held.size).toBe(all);
            expect(all).toBeLessThanOrEqual(perHost);
          }
        },
      ),
      { numRuns: runs(1_000) },
    );
  });

  test("whatever a guest scans, known or unknown: memory is bounded by the caps and by the number of remembered unknown addresses", () => {
    const caps = { perNetwork: 300, perHost: 400 };
    const held = new HeldAnswers(caps);
    for (const on of networks) held.take([own(on)], 0);
    for (let n = 1; n <= 30_000; n++) {
      const known = n % 3 === 0;
      const key: BindingKey =
        n % 2 === 0 ? { kind: "ip", vni: network, ip: ipOf(n) } : { kind: "mac", vni: network, mac: macOf(n) };
      held.take([{ key, revision: rev(n), binding: known ? remote(n) : null }], n);
    }
    expect(held.size).toBeLessThanOrEqual(caps.perNetwork);
    expect(held.keys().length).toBeLessThanOrEqual(caps.perNetwork + maxAbsentPerNetwork + networks.length);
    expect(held.desired(network).size).toBeLessThanOrEqual(caps.perNetwork * 2);
  });

  test("one MAC with more IPs than the cap loses those that were asked for first", () => {
    const held = new HeldAnswers({ perNetwork: 4, perHost: 100 });
    for (let n = 1; n <= 5; n++) held.take([answerTo(n, 1)], n);
    held.take([answerTo(3, 1)], 6);
    expect(texts(held.take([answerTo(6, 1)], 7))).toEqual([`100 ${ipOf(4)}`]);
    expect(held.size).toBe(4);
  });

  test("questions about networks without a VM on this host leave nothing behind", () => {
    const held = new HeldAnswers();
    for (let n = 1; n <= 1_000; n++) {
      held.take([{ key: { kind: "ip", vni: vni(n), ip: ipOf(1) }, revision: rev(1), binding: null }], 0);
    }
    expect([held.vnis(), held.keys()]).toEqual([[], []]);
  });
});

describe("least recently used", () => {
  test("is evicted first if a guest's question needs the room, by the kernel's data on use", () => {
    const held = new HeldAnswers({ perNetwork: 6, perHost: 100 });
    for (const n of [1, 2, 3]) held.take([answerTo(n, n)], n);
    // Of the three, the first is in use.
    held.age(network, new Map([1, 2, 3].map((n) => [macOf(n), n === 1 ? 0 : 97])), 100, idleMs);
    expect(texts(held.take([answerTo(4, 4)], 101))).toEqual([`100 ${ipOf(2)}`, `100 ${macOf(2)}`].sort());
    expect(held.lookUp({ kind: "ip", vni: network, ip: ipOf(1) }, 101).kind).toBe("remote");
  });

  test("is evicted on the host whose cap is reached, in whatever network it is", () => {
    const held = new HeldAnswers({ perNetwork: 100, perHost: 4 });
    const elsewhere: Answer = { ...answerTo(1, 1), key: { kind: "ip", vni: networks[1], ip: ipOf(1) } };
    held.take([elsewhere], 1);
    held.take([answerTo(2, 2)], 2);
    expect(texts(held.take([answerTo(3, 3)], 3))).toEqual([`200 ${ipOf(1)}`, `200 ${macOf(1)}`].sort());
  });

  test("is never evicted for an unrequested answer: that is dropped, and released", () => {
    const held = new HeldAnswers({ perNetwork: 4, perHost: 100 });
    held.take([answerTo(1, 1), answerTo(2, 2)], 0);
    const { operations, released, taken } = held.take([answerTo(3, 3), answerTo(1, 1, 2)], 1, "told");
    expect(operations).toEqual([]);
    expect(released.map(keyText).sort()).toEqual([`100 ${ipOf(3)}`, `100 ${macOf(3)}`].sort());
    expect(taken).toEqual([answerTo(1, 1, 2)]);
  });

  test("this host's own VMs neither count nor are evicted", () => {
    const held = new HeldAnswers({ perNetwork: 2, perHost: 2 });
    const locals = [11, 12, 13].map((n): Answer => ({ ...answerTo(n, n), binding: { ...remote(n), local: true } }));
    held.take(locals, 0);
    for (const n of [1, 2, 3]) held.take([answerTo(n, n)], n);
    held.age(network, new Map(), 10 * idleMs, idleMs);
    for (const { key } of locals) expect(held.lookUp(key, 0).kind).toBe("local");
    expect(held.size).toBe(0);
  });
});

describe("ageing", () => {
  const all = (n: number) => [`100 ${ipOf(n)}`, `100 ${macOf(n)}`];

  test("evicts a MAC that nothing has used, with every IP that leads to it, neighbours before tunnel entries", () => {
    const held = new HeldAnswers();
    held.take([answerTo(1, 1), answerTo(2, 1), answerTo(3, 3)], 0);
    const ages = new Map([
      [macOf(1), idleMs],
      [macOf(3), idleMs - 1],
    ]);
    const evicted = held.age(network, ages, idleMs + 1, idleMs);
    expect(texts(evicted)).toEqual([...all(1), `100 ${ipOf(2)}`].sort());
    expect(evicted.operations.map(({ verb, entry }) => `${verb} ${entry.kind}`)).toEqual([
      "delete neighbour",
      "delete neighbour",
      "delete bridge",
      "delete tunnel",
    ]);
  });

  test("leaves new entries: an entry has its whole idle time, whatever the kernel reports", () => {
    const held = new HeldAnswers();
    held.take([answerTo(1, 1)], 5_000);
    expect(held.age(network, new Map([[macOf(1), 60_000]]), 5_000 + idleMs - 1, idleMs).released).toEqual([]);
    expect(texts(held.age(network, new Map([[macOf(1), 60_000]]), 5_000 + idleMs, idleMs))).toEqual(all(1).sort());
  });

  test("is not delayed by a reconnect, nor by a change from the controller", () => {
    const held = new HeldAnswers();
    held.take([answerTo(1, 1), answerTo(2, 2)], 0);
    held.replace([answerTo(1, 1), answerTo(2, 2)], idleMs / 2);
    held.take([{ ...answerTo(1, 1, 2), binding: { ...remote(1), vtep: vtep("192.0.2.3") } }], idleMs / 2, "told");
    const evicted = held.age(network, new Map([[macOf(2), 0]]), idleMs, idleMs);
    expect(texts(evicted)).toEqual(all(1).sort());
  });

  test("of very many evicts some at a time, those that were used longest ago first", () => {
    const held = new HeldAnswers();
    for (let n = 1; n <= 2 * maxIdleAtOnce; n++) held.take([answerTo(n, n)], n);
    expect(held.age(network, new Map(), 1e6, idleMs).released).toHaveLength(2 * maxIdleAtOnce);
    expect(held.lookUp({ kind: "ip", vni: network, ip: ipOf(maxIdleAtOnce) }, 0).kind).toBe("nothing");
    expect(held.lookUp({ kind: "ip", vni: network, ip: ipOf(maxIdleAtOnce + 1) }, 0).kind).toBe("remote");
    held.age(network, new Map(), 1e6, idleMs);
    expect(held.size).toBe(0);
  });

  test("does not happen with an idle time of Infinity", () => {
    const held = new HeldAnswers();
    held.take([answerTo(1, 1)], 0);
    expect(held.age(network, new Map(), 1e12, Number.POSITIVE_INFINITY).released).toEqual([]);
  });

  test("the MAC of an IP is released with the last IP that leads to it, but not if it was asked for by itself", () => {
    const gone = (n: number): Answer => ({ ...answerTo(n, n, 2), binding: null });
    const held = new HeldAnswers();
    held.take([answerTo(1, 1), answerTo(2, 2)], 0);
    held.take([{ key: { kind: "mac", vni: network, mac: macOf(2) }, revision: rev(1), binding: remote(2) }], 0);
    expect(texts(held.take([gone(1)], 0, "told"))).toEqual([`100 ${macOf(1)}`]);
    expect(texts(held.take([gone(2)], 0, "told"))).toEqual([]);
  });
});
