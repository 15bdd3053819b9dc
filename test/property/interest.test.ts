// Interest by ids against a model of plain sets.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HolderLists } from "../../controller/agents/holder-lists.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import {
  type BindingKey,
  keyText,
  type MacAddress,
  parseIp,
  parseMac,
  parseVni,
  type Vni,
} from "../../schema/address/index.ts";
import { runs } from "../support/property-runs.ts";

const maxUnknown = 3;

/** What is said in interest.ts, with texts in sets. */
class Model {
  /** By host and VNI, the keys in the order in which they came, with whether each is known. */
  readonly held = new Map<string, Map<string, { readonly key: BindingKey; known: boolean }>>();
  readonly overflown = new Set<string>();

  private at(host: string, vni: Vni) {
    const place = `${host} ${vni}`;
    const keys = this.held.get(place) ?? new Map();
    this.held.set(place, keys);
    return keys;
  }

  hold(host: string, key: BindingKey, known: boolean, asked: boolean): void {
    const keys = this.at(host, key.vni);
    const text = keyText(key);
    const entry = keys.get(text);
    const unknown = [...keys.values()].filter((each) => !each.known).length;
    if (known || entry?.known === false || unknown < maxUnknown) {
      if (entry) entry.known = known;
      else keys.set(text, { key, known });
      return;
    }
    if (keys.delete(text) || asked) this.overflown.add(`${host} ${key.vni}`);
  }

  release(host: string, key: BindingKey): void {
    this.at(host, key.vni).delete(keyText(key));
  }

  revoke(host: string, vni: Vni): void {
    this.at(host, vni).clear();
    this.overflown.delete(`${host} ${vni}`);
  }

  holdersOf(key: BindingKey): string[] {
    return hosts.filter((host) => this.at(host, key.vni).has(keyText(key)));
  }
}

const hosts = ["a", "b", "c", "d"];
const vnis = [1, 2].map(parseVni);
const keys: readonly BindingKey[] = vnis.flatMap((vni): BindingKey[] => [
  ...["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fd00:0:0:1::1"].map(
    (text): BindingKey => ({ kind: "ip", vni, ip: parseIp(text) }),
  ),
  // The words of one are those of an IPv4 address.
  ...["02:00:00:00:00:01", "02:00:00:00:00:02", "00:00:0a:00:00:01"].map(
    (text): BindingKey => ({ kind: "mac", vni, mac: parseMac(text) }),
  ),
]);

const operation = fc.record({
  what: fc.constantFrom("hold", "hold", "hold", "hold", "release", "revoke", "forget" as const),
  host: fc.constantFrom(...hosts),
  key: fc.constantFrom(...keys),
  known: fc.boolean(),
  asked: fc.boolean(),
});

test("interest agrees with sets of keys, whatever is recorded, released, revoked and forgotten", () =>
  fc.assert(
    fc.property(fc.array(operation, { size: "max", maxLength: 400 }), (operations) => {
      const index = new InterestIndex(maxUnknown);
      const model = new Model();
      for (const [i, { what, host, key, known, asked }] of operations.entries()) {
        if (what === "hold") {
          index.hold(host, key, known, asked);
          model.hold(host, key, known, asked);
        } else if (what === "release") {
          index.release(host, key);
          model.release(host, key);
        } else if (what === "revoke") {
          index.revoke(host, key.vni);
          model.revoke(host, key.vni);
        } else if (i % 5 === 0) {
          atOnce(index.forgetting(host));
          for (const vni of vnis) model.revoke(host, vni);
        }
        expect([...index.holdersOf(key)].sort()).toEqual(model.holdersOf(key));
      }
      for (const key of keys) {
        expect([...index.holdersOf(key)].sort()).toEqual(model.holdersOf(key));
        for (const host of hosts) {
          expect(index.knows(host, key)).toBe(model.held.get(`${host} ${key.vni}`)?.get(keyText(key))?.known === true);
        }
      }
      for (const vni of vnis) {
        expect([...index.overflownIn(vni)].sort()).toEqual(
          hosts.filter((host) => model.overflown.has(`${host} ${vni}`)),
        );
        for (const host of hosts) {
          const known = [...(model.held.get(`${host} ${vni}`)?.values() ?? [])].filter((each) => each.known);
          const macs = known.flatMap(({ key }): MacAddress[] => (key.kind === "mac" ? [key.mac] : []));
          expect([...index.macsKnownTo(host, vni)]).toEqual(macs);
        }
      }
      expect(index.size).toBe([...model.held.values()].reduce((sum, { size }) => sum + size, 0));
      for (const host of hosts) index.forget(host);
      expect([index.size, keys.flatMap((key) => [...index.holdersOf(key)])]).toEqual([0, []]);
    }),
    { numRuns: runs(150) },
  ));

test("a list of holders is a set with flags, short or long", () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.constantFrom("put", "put", "flag", "delete" as const)), {
        size: "max",
        maxLength: 1_500,
      }),
      (operations) => {
        const lists = new HolderLists();
        // Two, whose rows must not mix.
        const made = [-1, -1];
        const model = [new Map<number, boolean>(), new Map<number, boolean>()];
        for (const [i, [holder, what]] of operations.entries()) {
          const which = i % 3 === 0 ? 1 : 0;
          const [list = -1, expected] = [made[which], model[which]];
          if (what === "delete") {
            made[which] = lists.delete(list, holder);
            expected?.delete(holder);
          } else {
            made[which] = lists.put(list, holder, what === "flag");
            expected?.set(holder, what === "flag");
          }
        }
        for (const [which, list] of made.entries()) {
          const sorted = [...(model[which] ?? [])].sort(([a], [b]) => a - b);
          expect([...lists.holdersIn(list)].sort((a, b) => a - b)).toEqual(sorted.map(([holder]) => holder));
          expect(lists.size(list)).toBe(sorted.length);
          for (let holder = 0; holder <= 400; holder += 7)
            expect(lists.find(list, holder)).toBe(model[which]?.get(holder));
        }
      },
    ),
    { numRuns: runs(30) },
  ));
