// Counts the messages of a WebSocket server, without storing or parsing them. Pure except for its own state.

/** Bookmarks and other words beside the events are shorter than any event. */
const shortestEvent = 350;

export class FrameCounter {
  /** Events that have arrived completely. */
  events = 0;
  /** Of the header of a frame, the part that has arrived. */
  private readonly head = Buffer.alloc(10);
  private headBytes = 0;
  /** Remaining payload of the present frame, and its total length. */
  private left = 0;
  private length = 0;

  /** @returns the number of events that are complete with this chunk */
  take(chunk: Buffer): number {
    const before = this.events;
    let at = 0;
    while (at < chunk.length) {
      if (this.left === 0) {
        this.head[this.headBytes++] = chunk[at++] as number;
        this.readHead();
        continue;
      }
      const step = Math.min(this.left, chunk.length - at);
      at += step;
      this.left -= step;
      if (this.left === 0 && this.length >= shortestEvent) this.events += 1;
    }
    return this.events - before;
  }

  /** Frames of servers are not masked (RFC 6455 §5.1). */
  private readHead(): void {
    if (this.headBytes < 2) return;
    const short = (this.head[1] as number) & 0x7f;
    const whole = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (this.headBytes < whole) return;
    this.length = whole === 2 ? short : whole === 4 ? this.head.readUInt16BE(2) : Number(this.head.readBigUInt64BE(2));
    this.left = this.length;
    this.headBytes = 0;
  }
}
