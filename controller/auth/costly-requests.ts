// Requests that cost more than a look-up: each identity may have few in progress and some that wait; further ones are
// refused. `common/cooperative.ts` takes turns within such a request. Pure.

/**
 * Declared by a route as `config: { cost }`, if one request may be expensive:
 * - `look`: it is over when it has been computed, such as a page of the log;
 * - `bulk`: it lasts as long as its peer reads or sends, such as an export.
 */
export type Cost = "look" | "bulk";

interface CostLimits {
  /** In progress, of one identity. */
  readonly running: number;
  /** Of one identity, for a place. */
  readonly waiting: number;
  /** In progress, of all. */
  readonly total: number;
}

/**
 * A page of the dashboard sends three costly reads at once, a program that keeps an inventory in sync some dozens: these
 * wait for milliseconds. A bulk request does not wait, because the wait has no bound: four per identity are enough for a
 * backup, an import and two people.
 */
const defaultLimits: Readonly<Record<Cost, CostLimits>> = {
  look: { running: 2, waiting: 64, total: 16 },
  bulk: { running: 4, waiting: 0, total: 32 },
};

interface Turn {
  readonly start: () => void;
}

interface Holder {
  running: number;
  readonly waiting: Set<Turn>;
}

export class CostlyRequests {
  private readonly kinds: Readonly<Record<Cost, Kind>>;

  constructor(limits = defaultLimits) {
    this.kinds = { look: new Kind(limits.look), bulk: new Kind(limits.bulk) };
  }

  /**
   * @param done called when the request is over, whether it has begun or not
   * @returns when it may begin, or undefined where its identity has too many
   */
  enter(cost: Cost, identity: string, done: (listener: () => void) => void): Promise<void> | undefined {
    return this.kinds[cost].enter(identity, done);
  }
}

class Kind {
  /** In the order of their next turns: an identity that has had its turn moves to the end. */
  private readonly holders = new Map<string, Holder>();
  private running = 0;

  constructor(private readonly limits: CostLimits) {}

  enter(identity: string, done: (listener: () => void) => void): Promise<void> | undefined {
    const holder = this.holders.get(identity) ?? { running: 0, waiting: new Set() };
    const { running, waiting, total } = this.limits;
    const isFree = holder.waiting.size === 0 && holder.running < running && this.running < total;
    if (!isFree && holder.waiting.size >= waiting) return undefined;
    this.holders.set(identity, holder);
    return new Promise((resolve) => {
      let state: "waits" | "runs" | "over" = "waits";
      const turn: Turn = {
        start: () => {
          state = "runs";
          resolve();
        },
      };
      holder.waiting.add(turn);
      done(() => {
        const before = state;
        if (before === "over") return;
        state = "over";
        if (before === "runs") {
          holder.running -= 1;
          this.running -= 1;
        } else holder.waiting.delete(turn);
        if (holder.running === 0 && holder.waiting.size === 0) this.holders.delete(identity);
        this.startMore();
      });
      this.startMore();
    });
  }

  private startMore(): void {
    while (this.running < this.limits.total) {
      const next = this.findNext();
      if (!next) return;
      const [identity, holder, turn] = next;
      holder.waiting.delete(turn);
      holder.running += 1;
      this.running += 1;
      this.holders.delete(identity);
      this.holders.set(identity, holder);
      turn.start();
    }
  }

  /**
   * The next request of the identity with the fewest in progress; among several, of the one whose last turn is longest
   * ago.
   */
  private findNext(): [string, Holder, Turn] | undefined {
    let next: [string, Holder, Turn] | undefined;
    for (const [identity, holder] of this.holders) {
      const [turn] = holder.waiting;
      if (!turn || holder.running >= this.limits.running) continue;
      if (!next || holder.running < next[1].running) next = [identity, holder, turn];
    }
    return next;
  }
}
