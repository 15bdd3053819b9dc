// Times of honest operations, kept apart by the phase in which each was begun. An operation that fails has no time but a cause.

/** Of one phase; JSON, since it crosses processes. */
export interface Cut {
  /** Of operations that succeeded, by kind, ms. */
  readonly times: Readonly<Record<string, readonly number[]>>;
  /** By kind and cause: how many. */
  readonly failures: Readonly<Record<string, number>>;
}

/** In progress, of one kind and phase: more would load the bench without measuring the controller better. */
const maxPending = 64;

class Phase {
  readonly times: Record<string, number[]> = {};
  readonly failures: Record<string, number> = {};
  readonly pending = new Map<string, number>();
  private onIdle: (() => void) | undefined;

  async time(kind: string, act: () => Promise<void>): Promise<void> {
    const pending = this.pending.get(kind) ?? 0;
    if (pending >= maxPending) return;
    this.pending.set(kind, pending + 1);
    const startMs = performance.now();
    try {
      await act();
      this.times[kind] ??= [];
      this.times[kind].push(performance.now() - startMs);
    } catch (error) {
      const cause = `${kind}: ${error instanceof Error ? error.message : String(error)}`;
      this.failures[cause] = (this.failures[cause] ?? 0) + 1;
    }
    const left = (this.pending.get(kind) ?? 0) - 1;
    if (left > 0) this.pending.set(kind, left);
    else this.pending.delete(kind);
    if (this.pending.size === 0) this.onIdle?.();
  }

  async whenIdle(): Promise<Cut> {
    if (this.pending.size > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    return { times: this.times, failures: this.failures };
  }
}

export class Samples {
  #phase = new Phase();

  /** The number of samples in progress of the kind that began in this phase. */
  pendingOf(kind: string): number {
    return this.#phase.pending.get(kind) ?? 0;
  }

  time(kind: string, act: () => Promise<void>): Promise<void> {
    return this.#phase.time(kind, act);
  }

  /** A new phase begins. Resolves with the old one when all that was begun in it has ended. */
  cut(): Promise<Cut> {
    const past = this.#phase;
    this.#phase = new Phase();
    return past.whenIdle();
  }
}

/** Runs `act` every so many ms, without waiting for its end. @returns a callback that stops it */
export function pace(everyMs: number, act: () => Promise<void>): () => void {
  const timer = setInterval(() => void act(), everyMs);
  return () => clearInterval(timer);
}
