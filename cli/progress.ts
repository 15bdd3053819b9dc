// Progress of long work, on a terminal's standard error. Otherwise nothing is shown: logs and pipes stay clean.
import { SingleBar } from "cli-progress";

export interface Progress {
  advance(by: number): void;
  /** Leaves the terminal as it was; the second time does nothing. */
  stop(): void;
}

export interface ProgressOptions {
  readonly what: string;
  /** 0: unknown. */
  readonly total: number;
  /** What is waited for once the total is reached, with the time that it takes. */
  readonly waiting: string;
}

/** Below this, the wait is too short to show progress. */
const worthBytes = 256 * 1024;
const everyMs = 1_000;
const clearLine = "\r\u001b[K";

export function progressOf(
  { what, total, waiting }: ProgressOptions,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (!stream.isTTY || total < worthBytes) return { advance: () => {}, stop: () => {} };
  const format = `${what} {bar} {percentage}% {eta_formatted}`;
  const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true, stopOnComplete: false });
  bar.start(total, 0);
  let done = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    bar.stop();
    const startMs = performance.now();
    const show = () => stream.write(`${clearLine}${waiting}, ${Math.round((performance.now() - startMs) / 1_000)} s`);
    show();
    timer = setInterval(show, everyMs).unref();
  };
  return {
    advance: (by) => {
      done += by;
      bar.increment(by);
      if (done >= total && !timer) wait();
    },
    stop: () => {
      if (!timer) return bar.stop();
      clearInterval(timer);
      if (done > 0) stream.write(clearLine);
      done = 0;
    },
  };
}
