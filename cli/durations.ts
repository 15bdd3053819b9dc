// Times as people write them on a command line.
import { InvalidArgumentError } from "../common/commander.ts";
import { findDurationMs } from "../common/duration.ts";

/** Such as 90s, 10m, 2h, 30d. In ms. @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const ms = findDurationMs(text, { minMs: 1, maxMs: Number.POSITIVE_INFINITY });
  if (ms === undefined) throw new InvalidArgumentError("Write a time such as 90s, 10m, 2h or 30d.");
  return ms;
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** A time as people read it, in its two largest units: 3d 4h, 12m 5s, 0s. @param ms from 0 */
export function formatAge(ms: number): string {
  const first = units.findIndex(([, unit]) => ms >= unit);
  const shown = units.slice(first < 0 ? -1 : first).slice(0, 2);
  let rest = ms;
  return shown
    .map(([name, unit]) => {
      const count = Math.floor(rest / unit);
      rest -= count * unit;
      return `${count}${name}`;
    })
    .filter((text, index) => index === 0 || !text.startsWith("0"))
    .join(" ");
}
