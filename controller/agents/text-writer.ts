// Text frames of agents, written to the socket below their WebSocket, each in one write. `ws` would write head and text apart, which
// costs more than a look-up. Its control frames may come between these: both are written whole.
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";

/** Sends one text frame. Nothing is sent once the WebSocket is being closed. */
export type SendText = (text: string) => void;

/** RFC 6455 §5.2: a last frame with the opcode of text. */
const lastText = 0x81;
/** Length of a text from which two bytes of length follow, and longest text for which these are enough. */
const extended = 126;
const maxLength = 0xffff;

export function textWriter(socket: WebSocket, below: Duplex): SendText {
  return (text) => {
    // In ASCII, which nearly all frames are, a character is a byte.
    if (text.length > maxLength || Buffer.byteLength(text) !== text.length) socket.send(text);
    else if (socket.readyState === socket.OPEN) below.write(headOf(text.length) + text, "latin1");
  };
}

/** Servers do not mask. */
function headOf(length: number): string {
  return length < extended
    ? String.fromCharCode(lastText, length)
    : String.fromCharCode(lastText, extended, length >> 8, length & 0xff);
}
