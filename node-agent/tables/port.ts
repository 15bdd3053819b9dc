// A guest's port of a bridge as the kernel has it, and the single changes to it. Types only.
import type { MacAddress } from "../../schema/address/index.ts";

/** A bridge's settings of a port. */
export interface PortBehaviour {
  /** The bridge learns the source addresses of its frames. */
  readonly learning: boolean;
  /** The bridge floods unknown unicast to it. Broadcast and multicast are sent to it in any case. */
  readonly flood: boolean;
}

export interface GuestPort extends PortBehaviour {
  readonly ifindex: number;
  readonly name: string;
  /** Carrier: the other end is in use. A tap without its VM has none. */
  readonly carrier: boolean;
  readonly alias?: string;
  /** MAC addresses that are pinned to it with our mark: by an entry that is `static`, `sticky` and `extern_learn`. */
  readonly pinned: readonly MacAddress[];
  /** MAC addresses that the bridge has learned there. */
  readonly learned: readonly MacAddress[];
  /** How long ago the bridge saw a frame from each of these, ms. Absent: now. */
  readonly heardAgoMs?: ReadonlyMap<MacAddress, number>;
}

export type PortChange =
  | ({ readonly kind: "behave"; readonly ifindex: number } & PortBehaviour)
  /** An empty one removes it. */
  | { readonly kind: "alias"; readonly ifindex: number; readonly alias: string }
  | { readonly kind: "pin" | "unpin"; readonly ifindex: number; readonly mac: MacAddress };
