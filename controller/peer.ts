// The peer of a connection. TLS sockets do not expose their TCP socket; both expose this.
import { isIP, type Socket } from "node:net";

export type Endpoint = Pick<Socket, "remoteAddress" | "remotePort">;

/** The peer's address and port, which no other open connection has. */
export function peerOf({ remoteAddress, remotePort }: Endpoint): string {
  return `${remoteAddress} ${remotePort}`;
}

/** The source for a peer without an address. */
export function sourceOf({ remoteAddress = "" }: Endpoint): string {
  return countedAddress(remoteAddress);
}

/** The source that is counted: IPv6 by its /64, which is what one customer has. */
export function countedAddress(address: string): string {
  if (isIP(address) !== 6 || address.startsWith("::ffff:")) return address;
  const [head = "", tail] = address.split("::");
  const first = head.split(":");
  const last = tail === undefined ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  const groups = tail === undefined ? first : [...first, ...zeros, ...last];
  return `${groups
    .slice(0, 4)
    .map((group) => group || "0")
    .join(":")}::/64`;
}
