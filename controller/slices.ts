// Long work on the event loop, a slice at a time: what waits for the loop has its turn in between.
import type { Steps } from "./inventory/steps.ts";

/** The longest that a slice holds the event loop, ms. A step that takes longer is a slice of its own. */
const sliceMs = 4;

/** Lets others have their turn whenever a slice is over. */
export class Slices {
  private endMs = performance.now() + sliceMs;

  get over(): boolean {
    return performance.now() >= this.endMs;
  }

  /** Resolves when everything that waited for the event loop has had a turn. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.endMs = performance.now() + sliceMs;
  }
}

/** What many ask for at the same moment, in the order in which they ask, a slice at a time. */
export class Turns {
  private readonly slices = new Slices();
  private last: Promise<void> = Promise.resolve();

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
