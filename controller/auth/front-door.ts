// Checks that apply to every request before authentication: against pages of other sites that use a browser inside the
// network (DNS rebinding: a foreign Host; cross-site WebSockets: a foreign Origin).
import { isIP } from "node:net";

export interface DoorLimits {
  /** Names that the controller is reached by, beside addresses and `localhost`. */
  readonly hosts: readonly string[];
  /** Of pages that are served from elsewhere, such as `https://tools.example.org`. */
  readonly origins: readonly string[];
  /** Requests a second, on average over ten, of one identity. */
  readonly requestsPerSecond: number;
  /** The same for an address, for requests without valid credentials. */
  readonly unknownPerSecond: number;
  /** Connections of one IPv4 address or IPv6 /64 without an accepted request. */
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
  const [, bracketed, plain, port = "0"] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::(\d{1,5}))?$/i.exec(header) ?? [];
  if (Number(port) > 65_535) return false;
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  if (plain === undefined) return false;
  return isIP(plain) === 4 || [...allowed, "localhost"].includes(plain.toLowerCase().replace(/\.$/, ""));
}

/** Headers that must not be repeated: a proxy could read another one of them than this controller does. */
const singular = new Set([
  "host",
  "authorization",
  "origin",
  "content-type",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "sec-websocket-key",
  "sec-websocket-version",
]);

export interface RequestHead {
  /** The request's target as it was sent. */
  readonly url?: string | undefined;
  /** Names and values alternate, in the order received. */
  readonly rawHeaders: readonly string[];
}

/**
 * What makes a request ambiguous: two Host headers (RFC 9112 §3.2: answer 400), or a target that names another host than Host
 * does (§3.2.2: the target counts, which the router below does not know).
 */
export function findAmbiguity({ url = "", rawHeaders }: RequestHead, host: string | undefined): string | undefined {
  const twice = findRepeated(rawHeaders);
  if (twice !== undefined) return `the header ${twice} was sent more than once: send it once`;
  if (url.startsWith("/") || url === "*") return undefined;
  const [, authority] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? [];
  if (authority !== undefined && authority.toLowerCase() === host?.toLowerCase()) return undefined;
  return "the request's target names another host than its Host header: send the path alone";
}

function findRepeated(rawHeaders: readonly string[]): string | undefined {
  const seen: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? "";
    if (!singular.has(name)) continue;
    if (seen.includes(name)) return name;
    seen.push(name);
  }
  return undefined;
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
