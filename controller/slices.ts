// Long work on the event loop, a slice at a time: what waits for the loop has its turn in between.
import type { Steps } from "./inventory/steps.ts";

/** The longest that a slice holds the event loop, ms. A step that takes longer is a slice of its own. */
const sliceMs = 4;

/** Lets others have their turn whenever a slice is over. */
export class Slices {
  private endMs: number;

  constructor(private readonly maxMs = sliceMs) {
    this.endMs = performance.now() + maxMs;
  }

  get over(): boolean {
    return performance.now() >= this.endMs;
  }

  /** Resolves when everything that waited for the event loop has had a turn. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.endMs = performance.now() + this.maxMs;
  }
}

/** The longest that the turns of many hold the event loop, ms: what anybody else waits for it at most. */
const shareMs = 1;

/**
 * Work of many, in the order in which they come, some of it in each round of the event loop. Who asks for the next turn when
 * one is done comes behind everybody who waits: nobody delays another by more than one turn.
 */
export class FairTurns {
  private readonly waiting: (() => void)[] = [];
  /** Of those in `waiting`. */
  private next = 0;
  /** Set from the first turn of a round until the next round. */
  private endMs: number | undefined;

  /** What `task` does before it waits for anything is the turn. At once where nobody waits and the round is not used up. */
  run(task: () => void | Promise<void>): Promise<void> {
    const start = async (): Promise<void> => task();
    if (this.next === this.waiting.length && !this.isUsedUp()) return start();
    return new Promise((resolve, reject) => {
      this.waiting.push(() => void start().then(resolve, reject));
    });
  }

  private isUsedUp(): boolean {
    const nowMs = performance.now();
    if (this.endMs === undefined) {
      this.endMs = nowMs + shareMs;
      setImmediate(() => this.begin());
    }
    return nowMs >= this.endMs;
  }

  private begin(): void {
    this.endMs = undefined;
    while (this.next < this.waiting.length && !this.isUsedUp()) {
      const turn = this.waiting[this.next];
      this.next += 1;
      turn?.();
    }
    this.waiting.splice(0, this.next);
    this.next = 0;
  }
}

/** What many ask for at the same moment, in the order in which they ask, a slice at a time. */
export class Turns {
  private readonly slices: Slices;
  private last: Promise<void> = Promise.resolve();

  /** @param maxMs the longest that a slice holds the event loop */
  constructor(maxMs = sliceMs) {
    this.slices = new Slices(maxMs);
  }

  /** Resolves when it is the caller's turn: what it does at once belongs to the slice. */
  take(): Promise<void> {
    this.last = this.last.then(() => (this.slices.over ? this.slices.next() : undefined));
    return this.last;
  }
}

/** @throws what the steps throw; then nobody has gone on with them */
export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  const slices = new Slices();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (slices.over) await slices.next();
  }
}
