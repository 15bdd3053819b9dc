// States of the session with the controller, each with what exists in that state only. The diagram in ARCHITECTURE.md shows
// the transitions.
import type { WebSocket } from "ws";
import { defined } from "../../common/defined.ts";
import type { Transitions } from "../../common/state-machine.ts";
import { backoffMs, refusedBackoffMs } from "./backoff.ts";
import type { FrameAssembly } from "./frame-assembly.ts";

export type LinkState =
  /** Not started. */
  | { readonly kind: "idle" }
  /** TCP, TLS and the upgrade to a WebSocket. */
  | ({ readonly kind: "connecting"; readonly socket: WebSocket } & Attempt)
  /** Hello and interest are sent; the snapshot is being received. */
  | ({ readonly kind: "syncing" } & Session & Attempt)
  /** The snapshot is complete; queries may be sent. */
  | ({ readonly kind: "live"; readonly sinceMs: number } & Session)
  /** `timer` starts the next attempt. */
  | {
      readonly kind: "waiting";
      readonly timer: NodeJS.Timeout;
      /** Why the last attempt or session ended. */
      readonly reason: string;
      readonly retryAtMs: number;
      /** Refused until an operator acts. */
      readonly isRefused: boolean;
    }
  /** The agent stops: nothing is received or sent any more. */
  | { readonly kind: "stopped" };

export interface Attempt {
  /** Attempts and sessions that ended since the last live one began. */
  readonly failures: number;
  /** Why the last one failed, if there was one. */
  readonly reason?: string;
}

interface Session {
  readonly socket: WebSocket;
  /** Restarted by each frame; ends a connection on which the controller is silent. */
  readonly timer: NodeJS.Timeout;
  readonly frames: FrameAssembly;
}

export const linkTransitions: Transitions<LinkState["kind"]> = {
  idle: ["connecting", "stopped"],
  connecting: ["syncing", "waiting", "stopped"],
  syncing: ["live", "waiting", "stopped"],
  live: ["waiting", "stopped"],
  waiting: ["connecting", "stopped"],
  stopped: [],
};

/**
 * What follows the end of an attempt or a session.
 * @param minPauseMs to which the backoff is added
 * @param random in [0, 1)
 * @param isRefused for good: until an operator acts
 */
export function afterEnd(
  state: Extract<LinkState, { kind: "connecting" | "syncing" | "live" }>,
  minPauseMs: number,
  random: number,
  isRefused = false,
): { readonly failures: number; readonly pauseMs: number } {
  const failures = state.kind === "live" ? 0 : state.failures;
  const backoff = isRefused ? refusedBackoffMs(failures, random) : backoffMs(failures, random);
  return { failures: failures + 1, pauseMs: minPauseMs + backoff };
}

/** The session as the rest of the agent sees it. Times are of the monotonic clock. */
export type LinkStatus =
  | { readonly kind: "connected"; readonly sinceMs: number }
  /** `reason`: why the last attempt failed, if there was one. */
  | { readonly kind: "connecting"; readonly reason?: string }
  | { readonly kind: "waiting"; readonly reason: string; readonly retryAtMs: number; readonly isRefused: boolean };

export function statusOf(state: LinkState): LinkStatus {
  switch (state.kind) {
    case "live":
      return { kind: "connected", sinceMs: state.sinceMs };
    case "waiting":
      return { kind: "waiting", reason: state.reason, retryAtMs: state.retryAtMs, isRefused: state.isRefused };
    case "connecting":
    case "syncing":
      return { kind: "connecting", ...defined({ reason: state.reason }) };
    case "idle":
      return { kind: "connecting" };
    case "stopped":
      return { kind: "connecting", reason: "the agent is stopping" };
  }
}
