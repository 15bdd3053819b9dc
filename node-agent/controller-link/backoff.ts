// When to try again: exponential, with full jitter, so that a fleet whose controller restarted does not come as one.

const firstMs = 250;
/** With the time that a connection may take to come about (`link.ts`), a host is back within 5 s of any healing. */
const mostMs = 2_500;

/** Milliseconds to wait before attempt `attempt` (0 is the first repetition); `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 16));
}
