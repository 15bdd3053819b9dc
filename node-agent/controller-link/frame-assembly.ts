// The frames of one session, checked for their order. Sets that the controller cut into chunks are joined. Pure.
import {
  type ControllerFrame,
  FrameError,
  type FrameReader,
  parseControllerFrame,
  protocolVersions,
} from "../../schema/agent/index.ts";

export type Frame<Type extends ControllerFrame["type"]> = Extract<ControllerFrame, { type: Type }>;

export class FrameAssembly {
  private reader: FrameReader = { protocol: protocolVersions.min, host: "" };
  private asOf = 0;
  private snapshot: Frame<"snapshot"> | undefined;
  private changes: Frame<"changes"> | undefined;

  /**
   * @returns a frame, snapshots and changes whole; undefined after a chunk with others to follow, and for types of newer
   *   controllers
   * @throws FrameError
   */
  add(text: string): ControllerFrame | undefined {
    const frame = parseControllerFrame(text, this.reader);
    if (!frame || !("asOf" in frame)) return frame;
    if (frame.asOf < this.asOf) throw new FrameError(`asOf went back from ${this.asOf} to ${frame.asOf}`);
    this.asOf = frame.asOf;
    if (frame.type === "welcome") this.reader = { protocol: frame.protocol, host: frame.host };
    if (frame.type === "snapshot") return this.addSnapshot(joinSnapshot(this.snapshot, frame));
    if (frame.type === "changes") return this.addChanges(joinChanges(this.changes, frame));
    return frame;
  }

  private addSnapshot(joined: Frame<"snapshot">): Frame<"snapshot"> | undefined {
    this.snapshot = joined.end ? undefined : joined;
    return joined.end ? joined : undefined;
  }

  private addChanges(joined: Frame<"changes">): Frame<"changes"> | undefined {
    this.changes = joined.end ? undefined : joined;
    return joined.end ? joined : undefined;
  }
}

function joinSnapshot(earlier: Frame<"snapshot"> | undefined, frame: Frame<"snapshot">): Frame<"snapshot"> {
  if (!earlier) return frame;
  return {
    ...frame,
    networks: [...earlier.networks, ...frame.networks],
    answers: [...earlier.answers, ...frame.answers],
    ...joinPrepared(earlier, frame),
  };
}

function joinChanges(earlier: Frame<"changes"> | undefined, frame: Frame<"changes">): Frame<"changes"> {
  if (!earlier) return frame;
  const self = frame.self ?? earlier.self;
  return {
    ...frame,
    networks: [...earlier.networks, ...frame.networks],
    gone: [...earlier.gone, ...frame.gone],
    answers: [...earlier.answers, ...frame.answers],
    ...joinPrepared(earlier, frame),
    ...(self ? { self } : {}),
  };
}

type WithPrepared = Pick<Frame<"snapshot">, "prepared">;

function joinPrepared(earlier: WithPrepared, frame: WithPrepared): WithPrepared {
  const prepared = [...(earlier.prepared ?? []), ...(frame.prepared ?? [])];
  return prepared.length > 0 ? { prepared } : {};
}
