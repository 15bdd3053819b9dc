// Tasks that repeat.

export interface Repetition {
  stop(): void;
  /** Resolves when the present run has ended. */
  readonly idle: Promise<void>;
}

/**
 * Runs `task` at intervals, and does not keep the process alive. Runs do not overlap: one that is due during another is left
 * out. The task handles the errors that it expects; others end the process.
 * @param immediately also now
 */
export function every(ms: number, task: () => void | Promise<void>, { immediately = false } = {}): Repetition {
  let running: Promise<void> | undefined;
  const run = (): void => {
    if (running) return;
    const result = task();
    if (!(result instanceof Promise)) return;
    running = result.finally(() => {
      running = undefined;
    });
  };
  const timer = setInterval(run, ms).unref();
  if (immediately) run();
  return {
    stop: () => clearInterval(timer),
    get idle() {
      return running ?? Promise.resolve();
    },
  };
}
