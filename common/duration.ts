// Durations as people write them: 90s, 10m, 2h, 30d.

export const dayMs = 86_400_000;

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: dayMs };

interface DurationBounds {
  readonly minMs: number;
  readonly maxMs: number;
  /** Of the number before the unit; default: 6. */
  readonly maxDigits?: number;
}

/** In ms; undefined for another text, or beyond the bounds. */
export function findDurationMs(text: string, { minMs, maxMs, maxDigits = 6 }: DurationBounds): number | undefined {
  const [, count = "", unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN);
  return count.length <= maxDigits && ms >= minMs && ms <= maxMs ? ms : undefined;
}
