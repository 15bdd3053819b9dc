// Events as bytes on the wire, so that all consumers with the same view share a buffer.
import { type EventCursor, formatCursor } from "../../schema/events/index.ts";

/** A message: the event as JSON, and the position from which a consumer resumes after it. */
export interface Sending {
  readonly text: string;
  /** Absent: it has no place in the log. */
  readonly cursor?: EventCursor;
  /** It says only how far the stream has come. */
  readonly isBookmark?: boolean;
}

export interface Framing {
  readonly name: "websocket" | "sse";
  frame(sending: Sending): Buffer;
}

/** One unmasked text frame each, which is what servers send (RFC 6455 §5.2). */
export const webSocketFraming: Framing = {
  name: "websocket",
  frame({ text }) {
    const length = Buffer.byteLength(text);
    const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    const frame = Buffer.allocUnsafe(headBytes + length);
    frame[0] = 0x81; // the last fragment of a text message
    if (headBytes === 2) frame[1] = length;
    else if (headBytes === 4) {
      frame[1] = 126;
      frame.writeUInt16BE(length, 2);
    } else {
      frame[1] = 127;
      frame.writeBigUInt64BE(BigInt(length), 2);
    }
    frame.write(text, headBytes);
    return frame;
  },
};

/**
 * Server-Sent Events (WHATWG HTML §9.2). The id is a cursor, so `Last-Event-ID` resumes. Bookmarks have a name of their
 * own: they move the id on, and `onmessage` does not see them.
 */
export const sseFraming: Framing = {
  name: "sse",
  frame({ text, cursor, isBookmark }) {
    const id = cursor ? `id: ${formatCursor(cursor)}\n` : "";
    return Buffer.from(`${isBookmark ? "event: bookmark\n" : ""}${id}data: ${text}\n\n`);
  },
};
