// Ends an agent's connection with a code and a reason.
import type { WebSocket } from "ws";

/** RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code. */
const maxReasonBytes = 123;
/** How long a peer may take to answer a close. */
const closeTimeoutMs = 2_000;

export function closeSocket(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, fitReason(reason));
  setTimeout(() => socket.terminate(), closeTimeoutMs).unref();
  // Or the peer's answer to the close would not be read.
  socket.resume();
}

function fitReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= maxReasonBytes) return reason;
  // Cut characters whole: a partial one would not be UTF-8.
  return `${bytes
    .subarray(0, maxReasonBytes - 6)
    .toString()
    .replace(/\uFFFD+$/, "")} …`;
}
