// Compacts the log and the audit trail in small batches: other writers get a turn between two transactions. A consumer that
// reads from a removed range gets an error from the store.
import type { FastifyBaseLogger } from "fastify";
import { nextRound } from "../../common/cooperative.ts";
import { dayMs } from "../../common/duration.ts";
import { every, type Repetition } from "../../common/every.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { AccessStore } from "../store/access-store.ts";
import { type LogExtent, type Store, StoreFullError, StoreUnavailableError } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";

export interface LogRetention {
  /** ms; Infinity: nothing is deleted for its age. */
  readonly maxAgeMs: number;
  readonly maxEvents: number;
  /** Of the audit trail. */
  readonly audit: { readonly maxAgeMs: number; readonly maxEntries: number };
  /** Between two looks. */
  readonly everyMs: number;
}

export const defaultRetention: LogRetention = {
  maxAgeMs: 30 * dayMs,
  maxEvents: 1_000_000,
  audit: { maxAgeMs: 365 * dayMs, maxEntries: 1_000_000 },
  everyMs: 10_000,
};

export interface CompactorDeps {
  readonly committer: Pick<Committer, "subscribe">;
  readonly store: Pick<Store, "compactLog" | "logExtent"> & { readonly access: Pick<AccessStore, "trimAudit"> };
  readonly retention: LogRetention;
  readonly now: () => Date;
  readonly log: FastifyBaseLogger;
  /** The store failed for good. */
  readonly onFatal: (error: unknown) => void;
}

/** Events forgotten in one transaction: some milliseconds, and the fsync. */
const atOnce = 256;

export class Compactor {
  /** Of the log, as of the last look. */
  extent: LogExtent = { compacted: 0 as Revision, events: 0 };
  private stopped = false;
  private running: Promise<void> | undefined;
  private readonly timer: Repetition;
  /** Events since the last look. */
  private grownBy = 0;

  constructor(private readonly deps: CompactorDeps) {
    const { committer, retention } = deps;
    this.timer = every(retention.everyMs, () => this.run());
    setImmediate(() => void this.run());
    committer.subscribe(({ changes }) => {
      this.grownBy += changes.length;
      // Between two looks the log is a tenth too long at most.
      if (this.grownBy > retention.maxEvents / 10) setImmediate(() => void this.run());
    });
  }

  /** Forgets all that may be forgotten now. */
  run(): Promise<void> {
    this.grownBy = 0;
    if (this.stopped) return Promise.resolve();
    this.running ??= this.compact().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer.stop();
    await this.running;
  }

  private async compact(): Promise<void> {
    const { store, retention, now, log, onFatal } = this.deps;
    const { maxAgeMs, maxEvents } = retention;
    const nowMs = now().getTime();
    const oldest = timeBefore(nowMs, maxAgeMs);
    const trail = { before: timeBefore(nowMs, retention.audit.maxAgeMs), maxEntries: retention.audit.maxEntries };
    try {
      const before = await store.logExtent();
      while (!this.stopped && (await store.compactLog({ before: oldest, maxEvents }, atOnce))) {
        await nextRound();
      }
      while (!this.stopped && (await store.access.trimAudit(trail, atOnce))) {
        await nextRound();
      }
      this.extent = await store.logExtent();
      if (this.extent.compacted > before.compacted) log.info(this.extent, "log compacted");
    } catch (error) {
      // A store that is busy or full is tried again at the next look.
      if (!(error instanceof StoreUnavailableError || error instanceof StoreFullError)) onFatal(error);
    }
  }
}

/** As text that compares with the times in the store; before all of them where the age has no bound. */
function timeBefore(nowMs: number, ageMs: number): string {
  return ageMs === Number.POSITIVE_INFINITY ? "" : new Date(nowMs - ageMs).toISOString();
}
