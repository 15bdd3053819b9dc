// The kernel's two questions, and what a thread has done about one of them.
import type { BindingKey, IpAddress, MacAddress, Revision, Vni } from "../../schema/address/index.ts";
import type { WrittenBinding } from "../tables/entry.ts";

export type Miss =
  | { readonly kind: "l3miss"; readonly vni: Vni; readonly ip: IpAddress }
  | { readonly kind: "l2miss"; readonly vni: Vni; readonly mac: MacAddress };

export function missKey(miss: Miss): BindingKey {
  return miss.kind === "l3miss"
    ? { kind: "ip", vni: miss.vni, ip: miss.ip }
    : { kind: "mac", vni: miss.vni, mac: miss.mac };
}

/** What the thread for networks in memory has written and sent for a miss, before the main thread knew of it (ADR 0230). */
export interface ThreadAnswer {
  readonly miss: Extract<Miss, { readonly kind: "l3miss" }>;
  /** Of the main thread's clock: read from the kernel, acknowledged by it, sent to the guest. Without `repliedMs` the guest still waits. */
  readonly missedMs: number;
  readonly writtenMs: number;
  readonly repliedMs?: number;
  readonly asker: { readonly mac: MacAddress; readonly ip: IpAddress };
  /** The binding as it was in the table: the kernel may have all of its entries, or some where it refused others. */
  readonly written: WrittenBinding;
  readonly revision: Revision;
}
