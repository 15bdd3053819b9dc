// For any file and any state of a controller: carrying out the plan reaches the file's state, and then nothing is
// planned.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatFleet, parseFleet } from "../../cli/fleet/document.ts";
import {
  type Fields,
  type InterfaceFields,
  kinds,
  type Present,
  presentOf,
  type Wanted,
} from "../../cli/fleet/fleet.ts";
import { importLines, planFleet } from "../../cli/fleet/plan.ts";

const name = fc.constantFrom("a", "b", "c", "d");
const metadata = {
  labels: fc.dictionary(fc.constantFrom("tier", "env"), fc.constantFrom("web", "db", "")),
  description: fc.constantFrom("", "for tests"),
};
const byName = <T>(item: fc.Arbitrary<T>) => fc.dictionary(name, item, { noNullPrototype: true });

const network = fc.record(
  {
    vni: fc.integer({ min: 1, max: 9 }),
    subnets: fc.constantFrom(["10.1.0.0/16"], ["10.1.0.0/16", "fd00::/64"]),
    mtu: fc.constantFrom(1450, 8950),
    gateways: fc.constant(["10.1.0.9"]),
    quarantineSeconds: fc.constantFrom(0, 60),
    knowledge: fc.constantFrom("on-demand", "replicate"),
    broadcast: fc.constantFrom("off", "replicate"),
    ...metadata,
  },
  { requiredKeys: ["vni", "subnets"] },
);
const host = fc.record({
  vtep: fc.constantFrom("192.0.2.1", "192.0.2.2"),
  port: fc.constantFrom(4789, 5000),
  ...metadata,
});
const eth = fc.record(
  {
    network: name,
    mac: fc.constantFrom("52:54:00:00:00:01", "52:54:00:00:00:02"),
    ips: fc.constantFrom([], ["10.1.0.1"], ["10.1.0.2", "fd00::2"]),
    port: fc.constant("tap0"),
    router: fc.constant(true),
  },
  { requiredKeys: ["network"] },
);
const vm = fc.record({ host: name, interfaces: fc.array(eth, { maxLength: 3 }), ...metadata });

/** As people write it: any section may be left out. */
const file = fc.record(
  { networks: byName(network), hosts: byName(host), vms: byName(vm) },
  { requiredKeys: [], noNullPrototype: true },
);

const read = (input: object): Wanted => parseFleet(JSON.stringify(input), "fleet.yaml");

/** The resulting state of a controller: no address is omitted. */
function settled(wanted: Wanted): Present {
  return apply(
    { network: new Map(), host: new Map(), vm: new Map() },
    importLines(planFleet(wanted, presentOf([]), { prune: false }).steps),
  );
}

/** A model of import: each line replaces or deletes, and omitted addresses are assigned. */
function apply(present: Present, lines: readonly Fields[]): Present {
  const next = { network: new Map(present.network), host: new Map(present.host), vm: new Map(present.vm) };
  let assigned = 0;
  for (const { kind, name, delete: isGone, ...fields } of lines as readonly (Fields & {
    kind: keyof Present;
    name: string;
  })[]) {
    if (isGone) next[kind].delete(name);
    else {
      const interfaces = (fields.interfaces as readonly InterfaceFields[] | undefined)?.map(({ mac, ips, ...rest }) => {
        assigned += 1;
        return { ...rest, mac: mac ?? `0a:00:00:00:00:0${assigned % 10}`, ips: ips ?? [`10.1.9.${assigned}`] };
      });
      next[kind].set(name, { ...fields, ...(interfaces ? { interfaces } : {}) });
    }
  }
  return next;
}

test("carrying out the plan reaches the desired state, and the second plan is empty", () => {
  fc.assert(
    fc.property(file, file, fc.boolean(), (before, after, prune) => {
      const present = settled(read(before));
      const wanted = read(after);
      const then = apply(present, importLines(planFleet(wanted, present, { prune }).steps));
      for (const kind of kinds) {
        const resources = wanted[kind];
        // A section that is not written is left alone.
        if (!resources) expect(then[kind]).toEqual(present[kind]);
        for (const [each, fields] of resources ?? [])
          expect(then[kind].get(each)).toMatchObject(JSON.parse(JSON.stringify(fields)));
        if (resources && prune) expect([...then[kind].keys()].sort()).toEqual([...resources.keys()].sort());
        if (!prune) for (const each of present[kind].keys()) expect(then[kind].has(each)).toBe(true);
      }
      const second = planFleet(wanted, then, { prune });
      expect(second.steps).toEqual([]);
    }),
  );
});

test("an export as YAML, applied again, changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(file, async (content) => {
      const present = settled(read(content));
      const again = parseFleet(await formatFleet(present), "fleet.yaml");
      expect(planFleet(again, present, { prune: true }).steps).toEqual([]);
    }),
  );
});
