// Generated answers of one network, few enough addresses that they meet.
import fc from "fast-check";
import type { Answer, Binding, BindingKey } from "../../schema/address/index.ts";
import { mac, rev, someIp, someMac, someVtep, vni, vtep } from "./addresses.ts";

const network = vni(100);

const someBinding = fc
  .record({ mac: someMac, vtep: someVtep, local: fc.boolean(), router: fc.boolean() })
  .map(({ mac, vtep, local, router }): Binding => {
    const flags = { ...(local ? { local } : {}), ...(router ? { router } : {}) };
    return { mac, host: "h", vtep, vtepPort: 4789, ...flags };
  });

/** In VNI 100, as a controller says it: a key by IP leads to any MAC, a key by MAC to itself. */
export const someAnswer: fc.Arbitrary<Answer> = fc
  .record({
    ip: someIp,
    byIp: fc.boolean(),
    binding: someBinding,
    gone: fc.boolean(),
    revision: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ ip, byIp, binding, gone, revision }) => {
    const key: BindingKey = byIp ? { kind: "ip", vni: network, ip } : { kind: "mac", vni: network, mac: binding.mac };
    return { key, revision: rev(revision), binding: gone ? null : binding };
  });

/** A network exists on a host that has a VM in it. */
export const ownGuest: Answer = {
  key: { kind: "mac", vni: network, mac: mac("52:54:00:00:00:ff") },
  revision: rev(1),
  binding: { mac: mac("52:54:00:00:00:ff"), host: "h", vtep: vtep("192.0.2.9"), vtepPort: 4789, local: true },
};
