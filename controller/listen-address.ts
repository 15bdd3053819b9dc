// Where the controller listens.
import { isIP, isIPv4 } from "node:net";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export function formatListen({ host, port }: ListenAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
