// The protocol of the agent's local socket: one JSON object per line, a request and its reply, both bounded. Every user who
// may open the socket may ask; no request changes anything.
import { safeParse } from "secure-json-parse";
import { AddressError, type IpAddress, isMulticast, parseGroup, parseIp } from "../../schema/address/index.ts";
import { namePattern } from "../../schema/plain/index.ts";
import { Compile, type Static, Type } from "../../schema/typebox.ts";

export const maxRequestBytes = 4 * 1024;
/** More than the largest report; a peer that sends more is not an agent. */
export const maxReplyBytes = 32 * 1024 * 1024;
/** Maximum of entries in one report, over all networks: others are only counted. */
export const maxListedEntries = 20_000;

const WireRequest = Type.Union([
  Type.Object({
    type: Type.Literal("status"),
    maxEntries: Type.Optional(Type.Integer({ minimum: 0, maximum: maxListedEntries })),
  }),
  Type.Object({
    type: Type.Literal("explain"),
    network: Type.String({ pattern: namePattern }),
    from: Type.String(),
    to: Type.String(),
  }),
]);
const check = Compile(WireRequest);

/** All guests of the sender's network (RFC 919). No interface has it, so it is no address elsewhere. */
export const limitedBroadcast = "255.255.255.255";

/** What a packet is sent to: an address that an interface can have, a multicast group, or all. @throws AddressError */
export function parseDestination(text: string): IpAddress {
  if (text === limitedBroadcast) return text as IpAddress;
  return isMulticast(text) ? (parseGroup(text) as string as IpAddress) : parseIp(text);
}

export type StatusRequest =
  /** `maxEntries` of each network. */
  | { readonly type: "status"; readonly maxEntries: number }
  | { readonly type: "explain"; readonly network: string; readonly from: IpAddress; readonly to: IpAddress };

/** The wire format: addresses as text; fields with a default may be absent. */
export type WireStatusRequest = Static<typeof WireRequest>;

export type StatusReply = { readonly version: string } & (
  | { readonly result: unknown }
  /** Text for a person: what is wrong with the request, or why there is no answer. */
  | { readonly error: string }
);

/** A request that this agent does not understand. */
export class RequestError extends Error {
  override readonly name = "RequestError";
}

/** @throws RequestError */
export function parseStatusRequest(line: string): StatusRequest {
  const value: unknown = safeParse(line);
  if (!check.Check(value)) {
    throw new RequestError('this agent answers {"type":"status"} and {"type":"explain","network":…,"from":…,"to":…}');
  }
  if (value.type === "status") return { type: "status", maxEntries: value.maxEntries ?? maxListedEntries };
  try {
    return { type: "explain", network: value.network, from: parseIp(value.from), to: parseDestination(value.to) };
  } catch (error) {
    if (error instanceof AddressError) throw new RequestError(error.message);
    throw error;
  }
}

/** @returns undefined if it is not a reply of an agent */
export function findStatusReply(line: string): StatusReply | undefined {
  const value: unknown = safeParse(line);
  if (typeof value !== "object" || value === null || !("version" in value) || typeof value.version !== "string") {
    return undefined;
  }
  if ("error" in value && typeof value.error === "string") return { version: value.version, error: value.error };
  return "result" in value ? { version: value.version, result: value.result } : undefined;
}
