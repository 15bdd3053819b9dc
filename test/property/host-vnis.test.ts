// Lists of VNIs by host, compared with sets.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HostVnis } from "../../controller/inventory/host-vnis.ts";
import { parseVni } from "../../schema/address/index.ts";
import { runs } from "../support/property-runs.ts";

const someVni = fc.integer({ min: 1, max: 12 }).map(parseVni);
const someStep = fc.record({ host: fc.constantFrom("a", "b"), vni: someVni, looks: fc.boolean() });

test("VNIs of a host are listed once, in order of number, however they are added and read in between", () =>
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 60 }), (steps) => {
      const lists = new HostVnis();
      const model = new Map<string, Set<number>>();
      for (const { host, vni, looks } of steps) {
        if (looks) expect(lists.has(host, vni)).toBe(model.get(host)?.has(vni) === true);
        lists.add(host, vni);
        model.set(host, (model.get(host) ?? new Set()).add(vni));
        expect(lists.has(host, vni)).toBe(true);
      }
      const inOrder = [...model].map(([host, vnis]) => [host, [...vnis].sort((a, b) => a - b)]);
      expect([...lists].map(([host, vnis]) => [host, [...vnis]])).toEqual(inOrder);
    }),
    { numRuns: runs(300) },
  ));
