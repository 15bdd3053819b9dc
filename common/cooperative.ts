// Cooperative scheduling on the event loop: long work runs in slices, and other tasks run between them.

/** Resolves in the next round of the event loop. */
export function nextRound(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** End of a slice, and the pause after it. */
export interface Turns {
  /** Other work should run now. */
  readonly over: boolean;
  /** Resolves when all tasks that waited for the event loop have run. */
  next(): Promise<void>;
}

/** Default length of a slice, ms. A step that takes longer is a slice of its own. */
const defaultSliceMs = 4;

export class Slices implements Turns {
  private endMs: number;

  /**
   * @param maxMs length of a slice
   * @param pauseFirst other work runs before the first slice as well
   */
  constructor(
    private readonly maxMs = defaultSliceMs,
    pauseFirst = false,
  ) {
    this.endMs = pauseFirst ? Number.NEGATIVE_INFINITY : performance.now() + maxMs;
  }

  get over(): boolean {
    return performance.now() >= this.endMs;
  }

  async next(): Promise<void> {
    await nextRound();
    this.endMs = performance.now() + this.maxMs;
  }
}

/** Runs a generator that yields wherever other tasks may run. @throws errors of the generator */
export async function inSlices<T>(steps: Generator<void, T, void>, slices: Turns = new Slices()): Promise<T> {
  for (;;) {
    if (slices.over) await slices.next();
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Maximum time that turns of clients block the event loop, ms. */
const shareMs = 1;

/**
 * Runs work of many clients in the order of arrival, some of it in each round of the event loop. A client that requests
 * its next turn after one goes to the end of the queue: no client delays another by more than one turn.
 */
export class FairTurns {
  private readonly waiting: (() => void)[] = [];
  /** Of those in `waiting`. */
  private next = 0;
  /** Set from the first turn of a round until the next round. */
  private endMs: number | undefined;

  /**
   * A turn is the part of `task` before its first await. It runs immediately if the queue is empty and the round has time left.
   */
  run(task: () => void | Promise<void>): Promise<void> {
    const start = async (): Promise<void> => task();
    if (this.begins()) return start();
    return new Promise((resolve, reject) => {
      this.waiting.push(() => void start().then(resolve, reject));
    });
  }

  /** Whether a turn may be taken immediately, without `run`. */
  begins(): boolean {
    return this.next === this.waiting.length && !this.isUsedUp();
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

/** Steps of a generator between two looks at the time: some tenths of a millisecond. */
const stepsPerTurn = 128;

/** A queue for many short tasks that become due at the same moment: they run in order, a slice at a time. */
export class TurnQueue {
  private readonly slices: Slices;
  private last: Promise<void> = Promise.resolve();

  /** @param maxMs length of a slice */
  constructor(maxMs = defaultSliceMs) {
    this.slices = new Slices(maxMs);
  }

  /** Resolves at the caller's turn: its synchronous code after that belongs to the slice. */
  take(): Promise<void> {
    this.last = this.last.then(() => (this.slices.over ? this.slices.next() : undefined));
    return this.last;
  }

  /** As `inSlices`, with the slices of all tasks of the queue together. @throws errors of the generator */
  async run<T>(steps: Generator<void, T, void>): Promise<T> {
    for (;;) {
      await this.take();
      for (let i = 0; i < stepsPerTurn; i++) {
        const step = steps.next();
        if (step.done) return step.value;
      }
    }
  }
}
