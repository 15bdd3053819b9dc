// Waiting for conditions, never for time alone: every wait has a deadline and says what it waited for.
import { inspect } from "node:util";
import { defined } from "../../common/defined.ts";

/** For conditions without a promised time: a deadline for hangs, not for a busy machine. */
export const patienceMs = 30_000;

export interface WaitOptions {
  /** Completes "waited for …" in the error. */
  readonly what: string;
  /** Default `patienceMs`. */
  readonly deadlineMs?: number;
  /** Pause between two looks, default 5. */
  readonly everyMs?: number;
}

/** A condition was not met in time. The message has the last observation. */
export class WaitError extends Error {
  override readonly name = "WaitError";
}

type Truthy<T> = Exclude<T, undefined | null | false | 0 | "">;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Reads until `accept` is true; a read that throws counts as not yet. @throws WaitError at the deadline */
export async function waitUntil<T>(
  read: () => T | Promise<T>,
  accept: (value: T) => boolean,
  options: WaitOptions,
): Promise<T> {
  const { what, deadlineMs = patienceMs, everyMs = 5 } = options;
  const end = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    let seen = "";
    try {
      const value = await read();
      if (accept(value)) return value;
      seen = `last seen: ${inspect(value, { depth: 6, breakLength: 120 })}`;
    } catch (error) {
      failure = error;
      seen = `last error: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() >= end) {
      throw new WaitError(`waited ${deadlineMs} ms for ${what}; ${seen}`, defined({ cause: failure }));
    }
    await pause(everyMs);
  }
}

/** The first truthy value that `condition` gives. @throws WaitError at the deadline */
export function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Truthy<T>> {
  return waitUntil(condition, (value) => Boolean(value), options) as Promise<Truthy<T>>;
}
