// Tasks that repeat.

export interface Repetition {
  stop(): void;
  /** Resolves when the present run has ended. */
  readonly idle: Promise<void>;
}

export interface RepetitionOptions {
  /** Also now. */
  readonly immediately?: boolean;
  /**
   * At multiples of the interval since the start of the process: tasks whose intervals are multiples of each other then run at the same
   * moments, and an idle process wakes up less often. The first run may be half an interval early or late.
   */
  readonly inStep?: boolean;
}

/**
 * Runs `task` at intervals, and does not keep the process alive. Runs do not overlap: one that is due during another is left
 * out. The task handles the errors that it expects; others end the process.
 */
export function every(
  ms: number,
  task: () => void | Promise<void>,
  { immediately = false, inStep = false }: RepetitionOptions = {},
): Repetition {
  let running: Promise<void> | undefined;
  const run = (): void => {
    if (running) return;
    const result = task();
    if (!(result instanceof Promise)) return;
    running = result.finally(() => {
      running = undefined;
    });
  };
  const stop = inStep ? repeatInStep(ms, run) : repeat(ms, run);
  if (immediately) run();
  return {
    stop,
    get idle() {
      return running ?? Promise.resolve();
    },
  };
}

function repeat(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms).unref();
  return () => clearInterval(timer);
}

function repeatInStep(ms: number, run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const schedule = (): void => {
    timer = setTimeout(
      () => {
        schedule();
        run();
      },
      untilNext(ms, performance.now()),
    ).unref();
  };
  schedule();
  return () => clearTimeout(timer);
}

/** To the next multiple of `ms`, unless that is less than half of it away: timers may be early by a millisecond, and late by more. */
function untilNext(ms: number, nowMs: number): number {
  const leftMs = ms - (nowMs % ms);
  return leftMs < ms / 2 ? leftMs + ms : leftMs;
}
