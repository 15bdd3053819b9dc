// How many cases a property tries. Some orders of events go wrong once in thousands: `npm run properties` tries many more.
const times = Number(process.env.NEARMISS_TIMES ?? 1);
if (!(times > 0)) throw new Error(`NEARMISS_TIMES is a number above 0, not "${process.env.NEARMISS_TIMES}"`);

/** @param some in `npm test` */
export function runs(some: number): number {
  return Math.ceil(some * times);
}

/** Rare cases must be among those that are tried. The mutants' tests try too few. */
export const hasRareCases = times >= 1;
