// Times as people write them on a command line.
import { InvalidArgumentError } from "../common/commander.ts";
import { findDurationMs } from "../common/duration.ts";

/** Such as 90s, 10m, 2h, 30d. In ms. @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const ms = findDurationMs(text, { minMs: 1, maxMs: Number.POSITIVE_INFINITY });
  if (ms === undefined) throw new InvalidArgumentError("Write a time such as 90s, 10m, 2h or 30d.");
  return ms;
}
