// Reading from the controller's REST API as this host: with its certificate where it has one.
import type { LinkCredentials } from "../controller-link/link.ts";
import { ask, RefusedError } from "./ask.ts";

/** @throws Error where there is no answer; every status is one */
export type ControllerReader = (path: string) => Promise<{ readonly status: number; readonly body: unknown }>;

const replyMs = 3_000;

export function controllerReader(controller: URL, credentials: () => LinkCredentials | undefined): ControllerReader {
  return async (path) => {
    const present = credentials();
    if (!present) {
      const response = await fetch(new URL(path, controller), { signal: AbortSignal.timeout(replyMs) });
      return { status: response.status, body: (await response.json()) as unknown };
    }
    try {
      return { status: 200, body: (await ask<unknown>({ controller, path, timeoutMs: replyMs, ...present })).body };
    } catch (error) {
      if (error instanceof RefusedError) return { status: error.status, body: undefined };
      throw error;
    }
  };
}
