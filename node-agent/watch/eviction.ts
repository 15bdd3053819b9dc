// Reads the ages of entries from the kernel, one network after the other, and evicts idle ones. `tables/ageing.ts` decides
// which, and in which order.
import type { Logger } from "pino";
import { addressOf, type BindingKey, type Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { EntryWriter } from "../networks/entry-writer.ts";
import { maxIdleAtOnce, readAgesEveryMs } from "../tables/ageing.ts";
import type { Tables } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";

/** Minimum interval of extra rounds over all networks near a limit: reading 100,000 ages takes the kernel half a second. */
const hurriedRoundMs = 5_000;

export interface EvictionDependencies {
  readonly held: HeldAnswers;
  readonly tables: Pick<Tables, "idleMs">;
  /** Infinity: eviction only at the limits. */
  readonly idleMs: number;
  /**
   * Whether the controller could answer a query for an evicted address now. Without it nothing is evicted: an idle entry costs
   * a little memory, a missing one a guest's connection.
   */
  readonly uplink: { readonly isLive: boolean };
  /** A network whose idle entries stay. */
  keepsIdle(vni: Vni): boolean;
  readonly writer: Pick<EntryWriter, "write">;
  /** Ends the interest in what is evicted. */
  readonly releases: { release(keys: readonly BindingKey[]): void };
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
  nowMs(): number;
  /** In [0, 1). */
  random(): number;
}

export class Eviction {
  /** Addresses that were evicted as idle. */
  aged = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private round: Vni[] = [];
  private hurriedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: EvictionDependencies) {
    this.schedule();
  }

  /** A limit is near: reads the ages now, so that the least recently used are evicted next. */
  hurry(): void {
    const nowMs = this.deps.nowMs();
    if (nowMs - this.hurriedMs < hurriedRoundMs) return;
    this.hurriedMs = nowMs;
    this.report();
    for (const vni of this.deps.held.vnis()) void this.look(vni);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  /** Spread over the time of a round, ± half, so that neither networks nor hosts synchronise. */
  private schedule(): void {
    const { held, idleMs, random } = this.deps;
    const pauseMs = (readAgesEveryMs(idleMs) / Math.max(1, held.vnis().length)) * (0.5 + random());
    this.timer = setTimeout(() => void this.next(), pauseMs).unref();
  }

  private report(): void {
    const { held, reporter, log } = this.deps;
    const detail = `${held.size} addresses cached; the limits are ${held.caps.perNetwork} per network, ${held.caps.perHost} per host`;
    if (!reporter.note({ kind: "room-short", detail })) return;
    log.warn(
      { held: held.size, ...held.caps },
      "address limit reached: evicting the least recently used addresses (--max-per-network, --max-per-host)",
    );
  }

  private async next(): Promise<void> {
    if (this.round.length === 0) this.round = this.deps.held.vnis();
    const vni = this.round.shift();
    if (vni !== undefined) await this.look(vni);
    if (!this.closed) this.schedule();
  }

  private async look(vni: Vni): Promise<void> {
    const { held, tables, uplink, writer, releases, log } = this.deps;
    if (!uplink.isLive) return;
    const idleMs = this.deps.keepsIdle(vni) ? Number.POSITIVE_INFINITY : this.deps.idleMs;
    try {
      let ages = await tables.idleMs(vni);
      const readMs = this.deps.nowMs();
      while (!this.closed) {
        const { operations, released } = held.age(vni, ages, readMs, idleMs);
        if (released.length === 0) return;
        this.aged += released.length;
        const first = released.slice(0, 5).map(addressOf);
        log.info({ vni, addresses: released.length, first }, "idle entries evicted");
        releases.release(released);
        const written = writer.write(operations);
        // Each MAC is at least one address: these were all.
        if (released.length < maxIdleAtOnce) return;
        await written;
        // Queries and answers have their turn before the next batch.
        await new Promise((resolve) => setImmediate(resolve));
        ages = new Map();
      }
    } catch (error) {
      if (this.closed) return;
      if (!(error instanceof NetlinkError)) throw error;
      log.warn({ vni, reason: error.message }, "ages of entries not read: nothing is evicted this time");
    }
  }
}
