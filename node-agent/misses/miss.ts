// The kernel's two questions.
import type { BindingKey, IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";

export type Miss =
  | { readonly kind: "l3miss"; readonly vni: Vni; readonly ip: IpAddress }
  | { readonly kind: "l2miss"; readonly vni: Vni; readonly mac: MacAddress };

export function missKey(miss: Miss): BindingKey {
  return miss.kind === "l3miss"
    ? { kind: "ip", vni: miss.vni, ip: miss.ip }
    : { kind: "mac", vni: miss.vni, mac: miss.mac };
}
