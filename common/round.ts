// Rounding of figures.

/** To a thousandth: of a millisecond that is as much as the clocks tell. */
export function toThousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
