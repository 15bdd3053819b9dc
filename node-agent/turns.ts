// Long work on the event loop, a little at a time: a miss that comes meanwhile has its turn in between. What must not be torn
// apart, like reading a dump, is done between two turns.

/** The longest that such work goes on without letting others have a turn, ms. */
const sliceMs = 2;

export interface Turns {
  /** It is time to let others have theirs. */
  readonly over: boolean;
  /** Resolves when everything that waited for the event loop has had a turn. */
  next(): Promise<void>;
}

export class LoopTurns implements Turns {
  private endMs = Number.NEGATIVE_INFINITY;

  get over(): boolean {
    return performance.now() >= this.endMs;
  }

  async next(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.endMs = performance.now() + sliceMs;
  }
}

/** Runs a generator that yields wherever others may have a turn. @throws what it throws */
export async function inTurns<T>(steps: Generator<void, T, void>, turns: Turns): Promise<T> {
  for (;;) {
    if (turns.over) await turns.next();
    const step = steps.next();
    if (step.done) return step.value;
  }
}
