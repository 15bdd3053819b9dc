// Short ways to branded values in tests, and generators of them.
import fc from "fast-check";
import { type BroadcastEntry, broadcastMac, type Entry } from "../../node-agent/tables/entry.ts";
import {
  type IpAddress,
  type MacAddress,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../../schema/address/index.ts";

export const ip = parseIp;
export const mac = parseMac;
export const vni = parseVni;
export const vtep = parseVtep;
export const rev = parseRevision;

/** Few different ones, so that generated entries meet at the same places. */
export const someMac = fc.integer({ min: 1, max: 6 }).map((n): MacAddress => mac(`52:54:00:00:00:0${n}`));
export const someIp = fc
  .tuple(fc.boolean(), fc.integer({ min: 1, max: 6 }))
  .map(([v6, n]): IpAddress => ip(v6 ? `fd00:20::${n}` : `10.20.1.${n}`));
export const someVtep = fc.integer({ min: 1, max: 4 }).map((n) => vtep(`192.0.2.${n}`));

export const someBroadcasts = (network: number): fc.Arbitrary<BroadcastEntry[]> =>
  fc.array(
    fc.tuple(someVtep, fc.constantFrom(4789, 8472)).map(
      ([vtep, vtepPort]): BroadcastEntry => ({
        kind: "broadcast",
        vni: vni(network),
        mac: broadcastMac,
        vtep,
        vtepPort,
      }),
    ),
    { maxLength: 6 },
  );

export function someEntries(network: number): fc.Arbitrary<Entry[]> {
  const on = vni(network);
  const neighbour = fc.tuple(someIp, someMac).map(([ip, mac]): Entry => ({ kind: "neighbour", vni: on, ip, mac }));
  const bridge = someMac.map((mac): Entry => ({ kind: "bridge", vni: on, mac }));
  const tunnel = fc
    .tuple(someMac, someVtep, fc.constantFrom(4789, 8472), fc.boolean())
    .map(([mac, vtep, vtepPort, router]): Entry => {
      return { kind: "tunnel", vni: on, mac, vtep, vtepPort, ...(router ? { router } : {}) };
    });
  return fc.array(fc.oneof(neighbour, bridge, tunnel), { maxLength: 12 });
}
