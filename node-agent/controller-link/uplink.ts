// The core's way to the controller. Without a link frames are dropped, as without a session: the next session begins with the
// whole interest.
import type { AgentFrame } from "../../schema/agent/index.ts";

/** The part of a link that sends. */
export interface Channel {
  /** There is a session, and its snapshot is complete. */
  readonly isLive: boolean;
  /** @returns false if the frame was dropped */
  send(frame: AgentFrame): boolean;
}

const offline: Channel = { isLive: false, send: () => false };

export class Uplink implements Channel {
  send = offline.send;
  private channel = offline;
  private lastId = 0;

  get isLive(): boolean {
    return this.channel.isLive;
  }

  attach(channel: Channel): void {
    this.channel = channel;
    this.send = channel.send.bind(channel);
  }

  /** Of queries and releases, counting up. */
  nextId(): number {
    this.lastId += 1;
    return this.lastId;
  }
}
