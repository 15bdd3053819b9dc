// A guest's port of a bridge as the kernel has it, and the single changes to it. Types only.
import type { MacAddress } from "../../schema/index.ts";

/** What a bridge does with a port. */
export interface PortBehaviour {
  /** Whatever source address a frame from it carries is taken to live there. */
  readonly learning: boolean;
  /** It gets the unicast frames that the bridge knows no port for. Broadcast and multicast come in any case. */
  readonly flood: boolean;
}

export interface GuestPort extends PortBehaviour {
  readonly ifindex: number;
  readonly name: string;
  /** Carrier: the other end is in use. A tap without its VM has none. */
  readonly carrier: boolean;
  readonly alias?: string;
  /** MAC addresses that stand on it with our mark: an entry that is `static`, `sticky` and `extern_learn`. */
  readonly pinned: readonly MacAddress[];
  /** MAC addresses that the bridge has learned there. */
  readonly learned: readonly MacAddress[];
}

export type PortChange =
  | ({ readonly kind: "behave"; readonly ifindex: number } & PortBehaviour)
  /** An empty one takes it away. */
  | { readonly kind: "alias"; readonly ifindex: number; readonly alias: string }
  | { readonly kind: "pin" | "unpin"; readonly ifindex: number; readonly mac: MacAddress };
