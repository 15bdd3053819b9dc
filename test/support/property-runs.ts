// How many cases a property tries. Some orders of events go wrong once in thousands: `npm run properties` tries many more.
const times = Number(process.env.NEARMISS_TIMES ?? 1);
if (!(times > 0)) throw new Error(`NEARMISS_TIMES is a number above 0, not "${process.env.NEARMISS_TIMES}"`);

/** @param some in `npm test` */
export function runs(some: number): number {
  return Math.ceil(some * times);
}
