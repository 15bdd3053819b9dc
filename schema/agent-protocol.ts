// The agent channel: one WebSocket per host at `agentPath`, JSON text frames, ordered both ways.
//
//   agent → controller   hello, interest … end, then resolve, release, applied, report
//   controller → agent   welcome, snapshot … end, then answers, seed, changes, heartbeat; trust at any time
//
// Frames are at most `maxFrameBytes`; a larger set is chunked, closed by `end: true`, and applied only when whole.
// Unknown fields and unknown frame types are ignored, so that neighbouring versions work together.
import { safeParse } from "secure-json-parse";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import {
  AddressError,
  type IpAddress,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
  type Revision,
  type Vni,
  type VtepAddress,
} from "./address.ts";
import type { Answer, Binding, BindingKey } from "./binding.ts";
import { parseReports, type Report, WireReports } from "./operational.ts";

export const agentPath = "/v1/agent";
/** Versions of this protocol that this build speaks. Both sides use the highest that both know. */
export const protocolVersions = { min: 1, max: 1 } as const;
export const maxFrameBytes = 64 * 1024;
/** The controller is silent no longer than this; each side gives the other up after three times as long. */
export const heartbeatMs = 5_000;
/** Unknown addresses that the controller remembers per host and network for the case that they come into being. */
export const maxUnknownPerHostAndNetwork = 4_096;

/** Why the controller closed the channel (RFC 6455 §7.4.2: 4000 … 4999 are the application's). */
export const closeCodes = {
  badFrame: 4400,
  /** The host's certificate has expired or was revoked since the session began. */
  certificateEnded: 4401,
  hostUnknown: 4403,
  /** The agent read more slowly than changes came: connect again. */
  tooSlow: 4408,
  replaced: 4409,
  hostDeleted: 4410,
  /** Another agent is connected as this host, with another key. */
  hostTaken: 4423,
  protocolUnsupported: 4426,
  failed: 1011,
  controllerStopping: 1001,
} as const;

/** A miss, put to the controller; `asker` is the guest that asked, where the agent has seen it. */
export type Question = BindingKey & { readonly asker?: IpAddress };

export type AgentFrame =
  | {
      readonly type: "hello";
      readonly protocol: { readonly min: number; readonly max: number };
      readonly version: string;
      readonly host: string;
      /** Absent: the agent takes what the operator registered. */
      readonly vtep?: VtepAddress;
      readonly vtepPort: number;
      /** Takes part in seeding: its questions prepare the way back elsewhere, and others' here. */
      readonly seeding?: true;
      /** Lets in only what the VTEPs of a network's hosts send, and wants to be told of them. */
      readonly senders?: true;
      /** The store and position that the agent's entries are from; absent on the first connection. */
      readonly epoch?: string;
      readonly asOf?: Revision;
    }
  /** All keys that the agent holds: replaces the controller's set for this host. Complete with `end`. */
  | { readonly type: "interest"; readonly keys: readonly BindingKey[]; readonly end: boolean }
  | { readonly type: "resolve"; readonly id: number; readonly questions: readonly Question[] }
  /** Answered with empty `answers` of this id: what left before them may still speak of the keys, nothing after them does. */
  | { readonly type: "release"; readonly id: number; readonly keys: readonly BindingKey[] }
  /** The kernel has acknowledged everything up to `revision` (0: nothing yet); `problems` is the whole present list. */
  | { readonly type: "applied"; readonly revision: Revision; readonly problems: readonly string[] }
  /** What happened on the host and is no inventory. An older controller ignores it. */
  | { readonly type: "report"; readonly reports: readonly Report[] };

/** A host whose frames of a network are let in: with a VM in it. null: no longer. */
export interface Sender {
  readonly host: string;
  readonly vtep: VtepAddress | null;
}

/** A network that has a VM on the agent's host. */
export interface AgentNetwork {
  readonly name: string;
  readonly vni: Vni;
  readonly mtu: number;
  readonly revision: Revision;
}

export type ControllerFrame =
  | {
      readonly type: "welcome";
      readonly protocol: number;
      readonly epoch: string;
      readonly asOf: Revision;
      readonly host: string;
      /** The host as registered: what the agent's tunnels use. */
      readonly vtep: VtepAddress;
      readonly vtepPort: number;
    }
  /** Everything that concerns the host: its networks, its local bindings, the answer to each key of its interest. */
  | {
      readonly type: "snapshot";
      readonly asOf: Revision;
      readonly networks: readonly AgentNetwork[];
      readonly answers: readonly Answer[];
      readonly end: boolean;
    }
  /** Answers that the host has not asked for yet: somebody behind them has asked for one of its VMs. */
  | { readonly type: "seed"; readonly asOf: Revision; readonly answers: readonly Answer[] }
  | { readonly type: "answers"; readonly id: number; readonly asOf: Revision; readonly answers: readonly Answer[] }
  /** What one revision changed for this host. `networks` are new or changed; `gone` left this host. */
  | {
      readonly type: "changes";
      readonly asOf: Revision;
      readonly networks: readonly AgentNetwork[];
      readonly gone: readonly Vni[];
      readonly answers: readonly Answer[];
      /** The host's own registration changed. */
      readonly self?: { readonly vtep: VtepAddress; readonly vtepPort: number };
      readonly end: boolean;
    }
  /** Goes before the snapshot or the changes that it belongs to. `whole`: instead of all that was said of the network. */
  | {
      readonly type: "senders";
      readonly asOf: Revision;
      readonly vni: Vni;
      readonly whole: boolean;
      readonly hosts: readonly Sender[];
      /** More of the same network follow otherwise. */
      readonly end: boolean;
    }
  | { readonly type: "heartbeat"; readonly asOf: Revision }
  /**
   * What the controller's certificate is to be checked with from now on (PEM; empty: a public CA), and who signs the
   * hosts': an agent whose certificate has another issuer renews it at once. Over TLS only. No part of the inventory, so
   * without a position in the log.
   */
  | { readonly type: "trust"; readonly ca: string; readonly issuer: string };

/** A frame that cannot be understood: the channel is closed with `closeCodes.badFrame` and this message. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const WireKey = Type.Union([
  Type.Object({ kind: Type.Literal("ip"), vni: Type.Integer(), ip: Type.String() }),
  Type.Object({ kind: Type.Literal("mac"), vni: Type.Integer(), mac: Type.String() }),
]);
const WireQuestion = Type.Union([
  Type.Object({
    kind: Type.Literal("ip"),
    vni: Type.Integer(),
    ip: Type.String(),
    asker: Type.Optional(Type.String()),
  }),
  Type.Object({
    kind: Type.Literal("mac"),
    vni: Type.Integer(),
    mac: Type.String(),
    asker: Type.Optional(Type.String()),
  }),
]);
const WireBinding = Type.Object({
  mac: Type.String(),
  host: Type.String(),
  vtep: Type.String(),
  vtepPort: Type.Integer({ minimum: 1, maximum: 65_535 }),
  local: Type.Optional(Type.Literal(true)),
  router: Type.Optional(Type.Literal(true)),
  guestPort: Type.Optional(Type.String()),
});
const WireAnswer = Type.Object({
  key: WireKey,
  revision: Type.Integer(),
  binding: Type.Union([WireBinding, Type.Null()]),
});
const WireNetwork = Type.Object({
  name: Type.String(),
  vni: Type.Integer(),
  mtu: Type.Integer(),
  revision: Type.Integer(),
});
const WireSelf = { vtep: Type.String(), vtepPort: Type.Integer({ minimum: 1, maximum: 65_535 }) };

const agentWire = {
  hello: Type.Object({
    protocol: Type.Object({ min: Type.Integer(), max: Type.Integer() }),
    version: Type.String({ maxLength: 64 }),
    host: Type.String({ pattern: "^[A-Za-z0-9._-]{1,63}$" }),
    vtep: Type.Optional(Type.String()),
    vtepPort: WireSelf.vtepPort,
    seeding: Type.Optional(Type.Literal(true)),
    senders: Type.Optional(Type.Literal(true)),
    epoch: Type.Optional(Type.String({ maxLength: 64 })),
    asOf: Type.Optional(Type.Integer()),
  }),
  interest: Type.Object({ keys: Type.Array(WireKey), end: Type.Boolean() }),
  resolve: Type.Object({ id: Type.Integer(), questions: Type.Array(WireQuestion) }),
  release: Type.Object({ id: Type.Integer(), keys: Type.Array(WireKey) }),
  applied: Type.Object({
    revision: Type.Integer(),
    problems: Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 }),
  }),
  report: WireReports,
};
const controllerWire = {
  welcome: Type.Object({
    protocol: Type.Integer(),
    epoch: Type.String(),
    asOf: Type.Integer(),
    host: Type.String(),
    ...WireSelf,
  }),
  snapshot: Type.Object({
    asOf: Type.Integer(),
    networks: Type.Array(WireNetwork),
    answers: Type.Array(WireAnswer),
    end: Type.Boolean(),
  }),
  seed: Type.Object({ asOf: Type.Integer(), answers: Type.Array(WireAnswer) }),
  answers: Type.Object({ id: Type.Integer(), asOf: Type.Integer(), answers: Type.Array(WireAnswer) }),
  changes: Type.Object({
    asOf: Type.Integer(),
    networks: Type.Array(WireNetwork),
    gone: Type.Array(Type.Integer()),
    answers: Type.Array(WireAnswer),
    self: Type.Optional(Type.Object(WireSelf)),
    end: Type.Boolean(),
  }),
  senders: Type.Object({
    asOf: Type.Integer(),
    vni: Type.Integer(),
    whole: Type.Boolean(),
    hosts: Type.Array(Type.Object({ host: Type.String(), vtep: Type.Union([Type.String(), Type.Null()]) })),
    end: Type.Boolean(),
  }),
  heartbeat: Type.Object({ asOf: Type.Integer() }),
  trust: Type.Object({ ca: Type.String(), issuer: Type.String({ maxLength: 256 }) }),
};

type Wire<T extends Type.TSchema> = Static<T>;

const checkAgent = Object.fromEntries(Object.entries(agentWire).map(([type, schema]) => [type, Compile(schema)]));
const checkController = Object.fromEntries(
  Object.entries(controllerWire).map(([type, schema]) => [type, Compile(schema)]),
);

/** The frame's fields with the form of `type` checked, or undefined where the type is not known here. */
function parseWire(text: string, checks: Record<string, (typeof checkAgent)[string]>): { type: string } | undefined {
  const value: unknown = safeParse(text);
  if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string") {
    throw new FrameError("a frame is a JSON object with a `type`, without __proto__ or constructor.prototype");
  }
  if (!Object.hasOwn(checks, value.type)) return undefined;
  const check = checks[value.type];
  if (check && !check.Check(value)) {
    const [first] = check.Errors(value);
    throw new FrameError(`${value.type}${first ? `${first.instancePath} ${first.message}` : " is malformed"}`);
  }
  return value as { type: string };
}

function parseKey(wire: Wire<typeof WireKey>): BindingKey {
  const vni = parseVni(wire.vni);
  return wire.kind === "ip" ? { kind: "ip", vni, ip: parseIp(wire.ip) } : { kind: "mac", vni, mac: parseMac(wire.mac) };
}

function parseQuestion(wire: Wire<typeof WireQuestion>): Question {
  return wire.asker === undefined ? parseKey(wire) : { ...parseKey(wire), asker: parseIp(wire.asker) };
}

function parseBinding(wire: Wire<typeof WireBinding>): Binding {
  return {
    mac: parseMac(wire.mac),
    host: wire.host,
    vtep: parseVtep(wire.vtep),
    vtepPort: wire.vtepPort,
    ...(wire.local ? { local: true } : {}),
    ...(wire.router ? { router: true } : {}),
    ...(wire.guestPort === undefined ? {} : { guestPort: wire.guestPort }),
  };
}

function parseAnswer(wire: Wire<typeof WireAnswer>): Answer {
  return {
    key: parseKey(wire.key),
    revision: parseRevision(wire.revision),
    binding: wire.binding && parseBinding(wire.binding),
  };
}

function parseAgentNetwork(wire: Wire<typeof WireNetwork>): AgentNetwork {
  return { name: wire.name, vni: parseVni(wire.vni), mtu: wire.mtu, revision: parseRevision(wire.revision) };
}

/** A wrong address in a frame is as fatal as a wrong form: the other side cannot be trusted to mean what it says. */
function asFrameError<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AddressError) throw new FrameError(error.message);
    throw error;
  }
}

type WireFrame<Wires extends Record<string, Type.TSchema>> = {
  [K in keyof Wires]: { type: K } & Static<Wires[K]>;
}[keyof Wires];

/** @returns undefined for a frame type that a newer agent knows. @throws FrameError */
export function parseAgentFrame(text: string): AgentFrame | undefined {
  const wire = parseWire(text, checkAgent) as WireFrame<typeof agentWire> | undefined;
  if (!wire) return undefined;
  return asFrameError((): AgentFrame => {
    switch (wire.type) {
      case "hello":
        return {
          type: "hello",
          protocol: { min: wire.protocol.min, max: wire.protocol.max },
          version: wire.version,
          host: wire.host,
          ...(wire.vtep === undefined ? {} : { vtep: parseVtep(wire.vtep) }),
          vtepPort: wire.vtepPort,
          ...(wire.seeding ? { seeding: true } : {}),
          ...(wire.senders ? { senders: true } : {}),
          ...(wire.epoch === undefined ? {} : { epoch: wire.epoch }),
          ...(wire.asOf === undefined ? {} : { asOf: parseRevision(wire.asOf) }),
        };
      case "interest":
        return { type: "interest", keys: wire.keys.map(parseKey), end: wire.end };
      case "resolve":
        return { type: "resolve", id: wire.id, questions: wire.questions.map(parseQuestion) };
      case "release":
        return { type: "release", id: wire.id, keys: wire.keys.map(parseKey) };
      case "applied":
        return { type: "applied", revision: parseRevision(wire.revision), problems: wire.problems };
      case "report":
        return { type: "report", reports: parseReports(wire) };
    }
  });
}

/** @returns undefined for a frame type that a newer controller knows. @throws FrameError */
export function parseControllerFrame(text: string): ControllerFrame | undefined {
  const wire = parseWire(text, checkController) as WireFrame<typeof controllerWire> | undefined;
  if (!wire) return undefined;
  if (wire.type === "trust") return { type: "trust", ca: wire.ca, issuer: wire.issuer };
  return asFrameError((): ControllerFrame => {
    const asOf = parseRevision(wire.asOf);
    switch (wire.type) {
      case "welcome":
        return {
          type: "welcome",
          protocol: wire.protocol,
          epoch: wire.epoch,
          asOf,
          host: wire.host,
          vtep: parseVtep(wire.vtep),
          vtepPort: wire.vtepPort,
        };
      case "snapshot":
        return {
          type: "snapshot",
          asOf,
          networks: wire.networks.map(parseAgentNetwork),
          answers: wire.answers.map(parseAnswer),
          end: wire.end,
        };
      case "seed":
        return { type: "seed", asOf, answers: wire.answers.map(parseAnswer) };
      case "answers":
        return { type: "answers", id: wire.id, asOf, answers: wire.answers.map(parseAnswer) };
      case "changes":
        return {
          type: "changes",
          asOf,
          networks: wire.networks.map(parseAgentNetwork),
          gone: wire.gone.map(parseVni),
          answers: wire.answers.map(parseAnswer),
          ...(wire.self ? { self: { vtep: parseVtep(wire.self.vtep), vtepPort: wire.self.vtepPort } } : {}),
          end: wire.end,
        };
      case "senders": {
        const hosts = wire.hosts.map(({ host, vtep }) => ({ host, vtep: vtep === null ? null : parseVtep(vtep) }));
        return { type: "senders", asOf, vni: parseVni(wire.vni), whole: wire.whole, hosts, end: wire.end };
      }
      case "heartbeat":
        return { type: "heartbeat", asOf };
    }
  });
}

/**
 * Splits what may be larger than a frame. Every item must serialize to far less than `maxFrameBytes`.
 * @returns at least one chunk, so that an empty set still has an end
 */
export function chunk<T>(items: Iterable<T>, maxBytes = maxFrameBytes - 1_024): T[][] {
  return [...chunks(items, maxBytes)];
}

/** As `chunk`, one after the other. */
export function* chunks<T>(items: Iterable<T>, maxBytes = maxFrameBytes - 1_024): Generator<T[], void, void> {
  let part: T[] = [];
  let size = 0;
  for (const item of items) {
    const bytes = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (size + bytes > maxBytes && size > 0) {
      yield part;
      part = [];
      size = 0;
    }
    part.push(item);
    size += bytes;
  }
  yield part;
}
