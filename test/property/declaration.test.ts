// The declaration of a host against a map by text: keys of both families and MACs, each once, as it was first declared.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Declaration } from "../../controller/agents/declaration.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { type BindingKey, keyText, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import type { HeldKind } from "../../schema/agent/index.ts";

const empty = CommittedInventory.of({ networks: [], hosts: [], vms: [] });
const vni = fc.constantFrom(1, 2, 0xffffff).map(parseVni);
const small = fc.integer({ min: 0, max: 3 });
const key: fc.Arbitrary<BindingKey> = fc.oneof(
  fc
    .tuple(vni, fc.oneof(small, fc.integer({ min: 0, max: 255 })))
    .map(([vni, n]): BindingKey => ({ kind: "ip", vni, ip: parseIp(`10.200.255.${n}`) })),
  fc
    .tuple(vni, small, small)
    .map(([vni, a, b]): BindingKey => ({ kind: "ip", vni, ip: parseIp(`fd00:${a}::ffff:${b}`) })),
  fc.tuple(vni, small).map(([vni, n]): BindingKey => ({ kind: "mac", vni, mac: parseMac(`02:ff:00:00:80:0${n}`) })),
);
const frame = fc.tuple(
  fc.array(key, { maxLength: 30 }),
  fc.constantFrom<HeldKind | undefined>(undefined, "binding", "tombstone"),
);

test("a declaration has each key once, as the first frame with it says, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), (frames) => {
      const declaration = new Declaration();
      const expected = new Map<string, { key: BindingKey; held: HeldKind | undefined }>();
      for (const [keys, held] of frames) {
        declaration.add(empty, "a", keys, held);
        for (const key of keys) if (!expected.has(keyText(key))) expected.set(keyText(key), { key, held });
      }
      const listed = [...declaration.keys()];
      expect(new Map(listed.map((each) => [keyText(each.key), each]))).toEqual(expected);
      expect(listed).toHaveLength(expected.size);
      for (const { key } of expected.values()) expect(declaration.has(key)).toBe(true);
      expect(declaration.has({ kind: "ip", vni: parseVni(3), ip: parseIp("10.200.255.1") })).toBe(false);
    }),
  );
});
