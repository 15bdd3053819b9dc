// Who is at the other end of a connection. TLS does not tell which TCP socket it stands on; both tell this.
import type { Socket } from "node:net";

export type Endpoint = Pick<Socket, "remoteAddress" | "remotePort">;

/** The peer's address and port, which no other open connection has. */
export function peerOf({ remoteAddress, remotePort }: Endpoint): string {
  return `${remoteAddress} ${remotePort}`;
}
