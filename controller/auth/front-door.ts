// Which requests may come in at all, whoever sends them: against pages of other sites that use a browser on the network as
// their hand (DNS rebinding: a foreign Host; cross-site WebSockets: a foreign Origin).
import { isIP } from "node:net";

export interface DoorLimits {
  /** Names that the controller is reached by, beside addresses and `localhost`. */
  readonly hosts: readonly string[];
  /** Of pages that are served from elsewhere, such as `https://tools.example.org`. */
  readonly origins: readonly string[];
  /** Requests a second, on average over ten, of one identity. */
  readonly requestsPerSecond: number;
  /** The same of an address for requests that nobody's credentials came with. */
  readonly unknownPerSecond: number;
  /** Connections of one IPv4 address or IPv6 /64 on which no request was let in. */
  readonly unprovenConnections: number;
  /** Connections of one token. */
  readonly tokenConnections: number;
}

export const defaultDoorLimits: DoorLimits = {
  hosts: [],
  origins: [],
  requestsPerSecond: 500,
  unknownPerSecond: 20,
  unprovenConnections: 256,
  tokenConnections: 256,
};

/**
 * A name that rebinding could lead here must be allowed; an address cannot be rebound.
 * @param header of the request (RFC 9112 §3.2)
 */
export function isAllowedHost(header: string | undefined, allowed: readonly string[]): boolean {
  if (header === undefined) return false;
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(header) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  if (plain === undefined) return false;
  return isIP(plain) === 4 || [...allowed, "localhost"].includes(plain.toLowerCase().replace(/\.$/, ""));
}

/** Programs send no Origin. A browser's must be this controller itself, as the request's Host names it, or an allowed one. */
export function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes(origin)) return true;
  if (!/^https?:\/\//.test(origin) || !URL.canParse(origin)) return false;
  return host !== undefined && new URL(origin).host === host.toLowerCase();
}
