// Events as bytes on the wire, so that all consumers with the same view share a buffer.
import { Sender } from "ws";
import { type EventCursor, formatCursor } from "../../schema/events/index.ts";

/** A message: the event as JSON, and the position from which a consumer resumes after it. */
export interface Sending {
  readonly text: string;
  /** Absent: it has no place in the log. */
  readonly cursor?: EventCursor;
  /** It states only the position of the stream. */
  readonly isBookmark?: boolean;
}

declare module "ws" {
  /** Exported by ws, and missing in its types. */
  const Sender: {
    frame(
      data: Buffer,
      options: { opcode: number; fin: boolean; mask: boolean; rsv1: boolean; readOnly: boolean },
    ): Buffer[];
  };
}

export interface Framing {
  readonly name: "websocket" | "sse";
  frame(sending: Sending): Buffer;
}

/** RFC 6455 §5.2: opcode of text. Servers do not mask. */
const oneTextFrame = { opcode: 1, fin: true, mask: false, rsv1: false, readOnly: true };

/** One frame each, made by ws, which would make it anew for every consumer. */
export const webSocketFraming: Framing = {
  name: "websocket",
  frame: ({ text }) => Buffer.concat(Sender.frame(Buffer.from(text), oneTextFrame)),
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
