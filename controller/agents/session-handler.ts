// What a session of an agent needs: what handles its frames, and its limits.
import type { FairTurns } from "../../common/cooperative.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import type { Hello } from "./admission.ts";
import type { Declaration } from "./declaration.ts";
import type { HostAllowances } from "./host-allowance.ts";

/** Handlers of the session's frames. Each call returns after all its answers are sent. */
export interface SessionHandler<Session> {
  /** @throws Rejection */
  hello(session: Session, hello: Hello): Promise<void>;
  /** Another part of the host's declaration. */
  declared(session: Session, declaration: Declaration | undefined, frame: FrameOf<"interest">): Declaration;
  /** The declaration is complete. Answered in turn, because a whole fleet may reconnect at once. */
  interest(session: Session, declaration: Declaration): Promise<void>;
  /** @returns units beside those of the frame, see host-allowance.ts */
  resolve(session: Session, frame: FrameOf<"resolve">): number;
  release(session: Session, frame: FrameOf<"release">): void;
  /** @returns units beside those of the frame */
  subscribe(session: Session, frame: FrameOf<"subscribe">): number;
  unsubscribe(session: Session, frame: FrameOf<"unsubscribe">): void;
  used(session: Session, frame: FrameOf<"used">): void;
  applied(session: Session, frame: FrameOf<"applied">): void;
  reported(session: Session, frame: FrameOf<"report">): void;
  conditionsReported(session: Session, frame: FrameOf<"conditions">): void;
  claimed(session: Session, frame: FrameOf<"claim">): void;
  probed(session: Session, frame: FrameOf<"probed">): void;
  joined(session: Session, frame: FrameOf<"memberships">): void;
  heard(session: Session): void;
  /** The host is over its allowance: its channel is not read for a while. */
  paused(host: string, ms: number): void;
  /** The heartbeat interval has passed: send a heartbeat. */
  beat(session: Session): void;
  closed(session: Session): void;
  failed(session: Session, error: unknown): void;
}

export type FrameOf<Type extends AgentFrame["type"]> = Extract<AgentFrame, { type: Type }>;

export interface SessionLimits {
  readonly heartbeatMs: number;
  /** Maximum bytes waiting for a slow agent, without its snapshot or a large change set. */
  readonly maxBufferedBytes: number;
  /** From the upgrade to the hello, which agents send at once. */
  readonly helloMs: number;
  /** A peer that reads nothing of its snapshot for this time is disconnected. */
  readonly stalledMs: number;
}

/** Dependencies that the sessions share. */
export interface SessionDeps<Session> {
  readonly handler: SessionHandler<Session>;
  readonly limits: SessionLimits;
  readonly allowances: HostAllowances;
  readonly turns: FairTurns;
  /** Monotonic. */
  readonly nowMs: () => number;
}
