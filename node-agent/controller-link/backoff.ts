// Exponential backoff with full jitter, so that a fleet does not reconnect all at once after a restart of its controller.

const firstMs = 250;
/** Together with the connect timeout (`link.ts`), a host reconnects within 5 s after a fault has ended. */
export const maxBackoffMs = 2_500;

/** The controller refuses this agent until an operator acts: it asks less and less often, and at least this often. */
export const maxRefusedMs = 300_000;
const firstRefusedMs = 1_000;

/** Milliseconds to wait after a refusal; `attempt` counts refusals (0 is the first), `random` is in [0, 1). */
export function refusedBackoffMs(attempt: number, random: number): number {
  return (0.5 + random / 2) * Math.min(maxRefusedMs, firstRefusedMs * 2 ** Math.min(attempt, 16));
}

/** Milliseconds to wait before attempt `attempt` (0 is the first repetition); `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(maxBackoffMs, firstMs * 2 ** Math.min(attempt, 16));
}
