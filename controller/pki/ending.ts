// When a certificate that should have been renewed is worth a condition. Pure.
import { renewAfter } from "../../schema/agent/index.ts";

const dayMs = 86_400_000;
/** Certificates of a year are not warned of for months. */
const maxWarningMs = 14 * dayMs;

/** Half of the time between its renewal and its end has passed, or it ends within two weeks. */
export function endsSoon(expiresMs: number, lifetimeMs: number, nowMs: number): boolean {
  return expiresMs - nowMs < Math.min(maxWarningMs, (lifetimeMs * (1 - renewAfter)) / 2);
}
