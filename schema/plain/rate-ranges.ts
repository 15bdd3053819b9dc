// How far back rates go.

/** The default first. */
export const rateRanges = ["15m", "2h", "24h"] as const;
export type RateRange = (typeof rateRanges)[number];
