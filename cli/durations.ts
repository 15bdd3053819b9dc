// Times as people write them on a command line.
import { InvalidArgumentError } from "commander";

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Such as 90s, 10m, 2h, 30d. In ms. @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN);
  if (!(ms > 0)) throw new InvalidArgumentError("Write a time such as 90s, 10m, 2h or 30d.");
  return ms;
}
