// Tells the controller which keys the kernel has from whole networks in memory: it sends their changes, and waits for this host when one
// of their VMs moves. In batches, and never before a guest has its answer.
import { type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";
import { chunk, maxUsageDelayMs } from "../../schema/agent/index.ts";
import type { Uplink } from "../controller-link/uplink.ts";
import type { HeldAnswers } from "../tables/held.ts";

export interface UsageDependencies {
  readonly held: Pick<HeldAnswers, "find">;
  readonly uplink: Pick<Uplink, "isLive" | "send">;
  later(ms: number, callback: () => void): void;
}

export class Usage {
  private readonly pending = new Map<Vni, Map<string, BindingKey>>();
  private isScheduled = false;

  constructor(private readonly deps: UsageDependencies) {}

  note(keys: readonly BindingKey[]): void {
    for (const key of keys) {
      const inNetwork = this.pending.get(key.vni) ?? new Map<string, BindingKey>();
      this.pending.set(key.vni, inNetwork);
      inNetwork.set(keyText(key), key);
    }
    if (this.isScheduled || this.pending.size === 0) return;
    this.isScheduled = true;
    this.deps.later(maxUsageDelayMs, () => {
      this.isScheduled = false;
      this.flushAll();
    });
  }

  flushAll(): void {
    for (const vni of [...this.pending.keys()]) this.flush(vni);
  }

  /** Without a session they stay: the next one begins before they are known. */
  flush(vni: Vni): void {
    const { uplink } = this.deps;
    if (!uplink.isLive) return;
    const used = this.take(vni);
    if (used.length > 0) for (const keys of chunk(used)) uplink.send({ type: "used", keys });
  }

  /** What the controller was not informed of. What was evicted since needs no interest. */
  take(vni: Vni): BindingKey[] {
    const keys = [...(this.pending.get(vni)?.values() ?? [])];
    this.pending.delete(vni);
    return keys.filter((key) => this.deps.held.find(key)?.kind === "remote");
  }
}
