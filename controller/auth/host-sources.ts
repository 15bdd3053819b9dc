// The sources of registered hosts: a fleet in one /64 reconnects from one source, and is not a stranger.
import type { Inventory } from "../inventory/inventory.ts";
import { countedAddress } from "../peer.ts";

/** Counted again at most this often, however often it is queried. */
const maxAgeMs = 10_000;

export class HostSources {
  private counts: ReadonlyMap<string, number> = new Map();
  private atMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly state: () => Inventory,
    private readonly nowMs: () => number,
  ) {}

  /** Hosts whose VTEP is an address of the source. */
  count(source: string): number {
    if (this.nowMs() - this.atMs >= maxAgeMs) {
      const counts = new Map<string, number>();
      for (const { vtep } of this.state().listHosts()) {
        const at = countedAddress(vtep);
        counts.set(at, (counts.get(at) ?? 0) + 1);
      }
      this.counts = counts;
      this.atMs = this.nowMs();
    }
    // A dual-stack socket has IPv4 peers as mapped addresses (RFC 4291 §2.5.5.2).
    return this.counts.get(source.replace(/^::ffff:(?=\d+\.)/, "")) ?? 0;
  }
}
