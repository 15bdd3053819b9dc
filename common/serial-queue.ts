// Tasks that must not overlap: one runs at a time, in the order of the calls.

export class SerialQueue {
  private last: Promise<unknown> = Promise.resolve();

  /** @param afterFailure "stop": later tasks do not run, and are rejected with the error of the task that failed */
  constructor(private readonly afterFailure: "continue" | "stop" = "continue") {}

  /** Runs the task when all earlier ones have ended. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.last.then(task);
    this.last = this.afterFailure === "stop" ? result : result.catch(() => {});
    return result;
  }

  /** Settles when the tasks that are queued now have ended: rejected only where a failure has stopped the queue. */
  get idle(): Promise<unknown> {
    return this.last;
  }
}
