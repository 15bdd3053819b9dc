// Progress of long work, on a terminal's standard error. Otherwise nothing is shown: logs and pipes stay clean.
import { SingleBar } from "cli-progress";

export interface Progress {
  advance(by: number): void;
  /** Leaves the terminal as it was; the second time does nothing. */
  stop(): void;
}

/** Below this, the wait is too short to show progress. */
const worthBytes = 256 * 1024;

/** @param total 0: unknown */
export function progressOf(what: string, total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY || total < worthBytes) return { advance: () => {}, stop: () => {} };
  const format = `${what} {bar} {percentage}% {eta_formatted}`;
  const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true, stopOnComplete: false });
  bar.start(total, 0);
  return { advance: (by) => bar.increment(by), stop: () => bar.stop() };
}
