// Frames of the agent channel in wire format: checks their form, parses their addresses. Their meaning is in
// protocol.ts.
import { safeParse } from "secure-json-parse";
import {
  AddressError,
  type AgentNetwork,
  type Answer,
  type Binding,
  type BindingKey,
  findWholeKnowledge,
  parseGroup,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../address/index.ts";
import { Compile, type Static, Type } from "../typebox.ts";
import { parseConditions, WireConditions } from "./conditions.ts";
import { parseFindings, WireFindings } from "./findings.ts";
import { parsePrepared, WirePrepared } from "./prepared.ts";
import {
  type AgentFrame,
  type ControllerFrame,
  FrameError,
  type GroupChange,
  maxMemberships,
  type Question,
} from "./protocol.ts";
import { parseAllowedWire, parseRecords, WireAllowed, WirePort, WireRecord } from "./records.ts";

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
  allowed: Type.Optional(WireAllowed),
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
  knowledge: Type.Optional(Type.String()),
  broadcast: Type.Optional(Type.String()),
});
const WireSelf = { vtep: Type.String(), vtepPort: Type.Integer({ minimum: 1, maximum: 65_535 }) };

/** The longest text of an IPv6 address. */
const WireGroups = Type.Array(Type.String({ maxLength: 45 }), { maxItems: maxMemberships });
const WireGroupChange = { whole: Type.Boolean(), joined: WireGroups, left: WireGroups };

const agentWire = {
  hello: Type.Object({
    protocol: Type.Object({ min: Type.Integer(), max: Type.Integer() }),
    version: Type.String({ maxLength: 64 }),
    host: Type.String({ pattern: "^[A-Za-z0-9._-]{1,63}$" }),
    vtep: Type.Optional(Type.String()),
    vtepPort: WireSelf.vtepPort,
    seeding: Type.Optional(Type.Literal(true)),
    senders: Type.Optional(Type.Literal(true)),
    broadcasts: Type.Optional(Type.Literal(true)),
    groups: Type.Optional(Type.Literal(true)),
    epoch: Type.Optional(Type.String({ maxLength: 64 })),
    asOf: Type.Optional(Type.Integer()),
  }),
  interest: Type.Object({
    keys: Type.Array(WireKey),
    held: Type.Optional(Type.Union([Type.Literal("binding"), Type.Literal("tombstone")])),
    end: Type.Boolean(),
  }),
  resolve: Type.Object({ id: Type.Integer(), questions: Type.Array(WireQuestion) }),
  release: Type.Object({ id: Type.Integer(), keys: Type.Array(WireKey) }),
  subscribe: Type.Object({ id: Type.Integer(), vni: Type.Integer(), asOf: Type.Optional(Type.Integer()) }),
  unsubscribe: Type.Object({ id: Type.Integer(), vni: Type.Integer() }),
  used: Type.Object({ keys: Type.Array(WireKey) }),
  applied: Type.Object({
    revision: Type.Integer(),
    problems: Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 }),
    misses: Type.Optional(
      Type.Object({
        count: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
        sumMs: Type.Number({ minimum: 0, maximum: 1e12 }),
        maxMs: Type.Number({ minimum: 0, maximum: 1e9 }),
      }),
    ),
  }),
  report: WireFindings,
  conditions: WireConditions,
  claim: Type.Object({
    id: Type.Integer(),
    vni: Type.Integer(),
    mac: Type.String(),
    ip: Type.String(),
    port: Type.String({ maxLength: 15 }),
    agoMs: Type.Number({ minimum: 0, maximum: 1e9 }),
    ifFree: Type.Optional(Type.Literal(true)),
  }),
  probed: Type.Object({ id: Type.Integer(), answers: Type.Boolean() }),
  memberships: Type.Object({ vni: Type.Integer(), ...WireGroupChange }),
};
/** The same in both versions. */
const commonWire = {
  welcome: Type.Object({
    protocol: Type.Integer(),
    epoch: Type.String(),
    asOf: Type.Integer(),
    host: Type.String(),
    isNew: Type.Optional(Type.Literal(true)),
    groups: Type.Optional(Type.Literal(true)),
    ...WireSelf,
  }),
  heartbeat: Type.Object({ asOf: Type.Integer() }),
  claimed: Type.Object({
    id: Type.Integer(),
    granted: Type.Boolean(),
    reason: Type.Optional(Type.String({ maxLength: 64 })),
  }),
  probe: Type.Object({
    id: Type.Integer(),
    vni: Type.Integer(),
    mac: Type.String(),
    ip: Type.String(),
    port: Type.String({ maxLength: 15 }),
  }),
  groups: Type.Object({
    vni: Type.Integer(),
    hosts: Type.Array(Type.Object({ host: Type.String(), ...WireGroupChange })),
  }),
  trust: Type.Object({ ca: Type.String(), issuer: Type.String({ maxLength: 256 }) }),
};

/** @param answers the fields with the answers @param beside more fields of a host's sets */
const answeringWire = <Fields extends Record<string, Type.TSchema>, Beside extends Record<string, Type.TSchema>>(
  answers: Fields,
  beside: Beside,
) => ({
  snapshot: Type.Object({
    asOf: Type.Integer(),
    since: Type.Optional(Type.Integer()),
    networks: Type.Array(WireNetwork),
    ...answers,
    ...beside,
    end: Type.Boolean(),
  }),
  seed: Type.Object({ asOf: Type.Integer(), ...answers }),
  answers: Type.Object({ id: Type.Integer(), asOf: Type.Integer(), ...answers }),
  changes: Type.Object({
    asOf: Type.Integer(),
    networks: Type.Array(WireNetwork),
    gone: Type.Array(Type.Integer()),
    ...answers,
    ...beside,
    self: Type.Optional(Type.Object(WireSelf)),
    end: Type.Boolean(),
  }),
});

const controllerWire1 = {
  ...commonWire,
  ...answeringWire({ answers: Type.Array(WireAnswer) }, {}),
  senders: Type.Object({
    asOf: Type.Integer(),
    vni: Type.Integer(),
    whole: Type.Boolean(),
    hosts: Type.Array(Type.Object({ host: Type.String(), vtep: Type.Union([Type.String(), Type.Null()]) })),
    end: Type.Boolean(),
  }),
};
const controllerWire2 = {
  ...commonWire,
  base: Type.Object({
    id: Type.Integer(),
    asOf: Type.Integer(),
    since: Type.Optional(Type.Integer()),
    vni: Type.Integer(),
    records: Type.Array(WireRecord),
    end: Type.Boolean(),
  }),
  delta: Type.Object({ asOf: Type.Integer(), vni: Type.Integer(), records: Type.Array(WireRecord) }),
  ...answeringWire(
    { records: Type.Array(WireRecord), ports: Type.Optional(Type.Array(WirePort)) },
    { prepared: Type.Optional(Type.Array(WirePrepared)) },
  ),
  hosts: Type.Object({
    asOf: Type.Integer(),
    vni: Type.Integer(),
    whole: Type.Boolean(),
    hosts: Type.Array(
      Type.Union([
        Type.Object({ host: Type.String(), vtep: Type.String(), port: WireSelf.vtepPort }),
        Type.Object({ host: Type.String(), vtep: Type.Null() }),
      ]),
    ),
    end: Type.Boolean(),
  }),
};

type Wire<T extends Type.TSchema> = Static<T>;

const compileAll = (wires: Record<string, Type.TSchema>) =>
  Object.fromEntries(Object.entries(wires).map(([type, schema]) => [type, Compile(schema)]));
const checkAgent = compileAll(agentWire);
const checkController1 = compileAll(controllerWire1);
const checkController2 = compileAll(controllerWire2);

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
    ...parseAllowedWire(wire.allowed),
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
  const { name, mtu } = wire;
  const revision = parseRevision(wire.revision);
  const knowledge = findWholeKnowledge(wire.knowledge);
  // What a newer version may call otherwise is off, as everything unknown is.
  const broadcast = wire.broadcast === "replicate" ? ({ broadcast: wire.broadcast } as const) : {};
  return { name, vni: parseVni(wire.vni), mtu, revision, ...(knowledge ? { knowledge } : {}), ...broadcast };
}

function parseGroupChange({ whole, joined, left }: Wire<Type.TObject<typeof WireGroupChange>>): GroupChange {
  return { whole, joined: joined.map(parseGroup), left: left.map(parseGroup) };
}

/** An invalid address in a frame is as fatal as an invalid form: the rest of the frame cannot be trusted either. */
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
          ...(wire.broadcasts ? { broadcasts: true } : {}),
          ...(wire.groups ? { groups: true } : {}),
          ...(wire.epoch === undefined ? {} : { epoch: wire.epoch }),
          ...(wire.asOf === undefined ? {} : { asOf: parseRevision(wire.asOf) }),
        };
      case "interest":
        return {
          type: "interest",
          keys: wire.keys.map(parseKey),
          ...(wire.held === undefined ? {} : { held: wire.held }),
          end: wire.end,
        };
      case "resolve":
        return { type: "resolve", id: wire.id, questions: wire.questions.map(parseQuestion) };
      case "release":
        return { type: "release", id: wire.id, keys: wire.keys.map(parseKey) };
      case "subscribe":
        return {
          type: "subscribe",
          id: wire.id,
          vni: parseVni(wire.vni),
          ...(wire.asOf === undefined ? {} : { asOf: parseRevision(wire.asOf) }),
        };
      case "unsubscribe":
        return { type: "unsubscribe", id: wire.id, vni: parseVni(wire.vni) };
      case "used":
        return { type: "used", keys: wire.keys.map(parseKey) };
      case "applied":
        return {
          type: "applied",
          revision: parseRevision(wire.revision),
          problems: wire.problems,
          ...(wire.misses === undefined ? {} : { misses: wire.misses }),
        };
      case "report":
        return { type: "report", reports: parseFindings(wire) };
      case "conditions":
        return { type: "conditions", ...parseConditions(wire) };
      case "claim": {
        const { id, port, agoMs } = wire;
        return {
          type: "claim",
          id,
          vni: parseVni(wire.vni),
          mac: parseMac(wire.mac),
          ip: parseIp(wire.ip),
          port,
          agoMs,
          ...(wire.ifFree ? { ifFree: true } : {}),
        };
      }
      case "probed":
        return { type: "probed", id: wire.id, answers: wire.answers };
      case "memberships":
        return { type: "memberships", vni: parseVni(wire.vni), ...parseGroupChange(wire) };
    }
  });
}

/** What the answers in a frame depend on. */
export interface FrameReader {
  /** The version of the session; 1 before the welcome. */
  readonly protocol: number;
  /** The host that reads. */
  readonly host: string;
}

type WithAnswers =
  | { readonly answers: readonly Wire<typeof WireAnswer>[] }
  | { readonly records: readonly Wire<typeof WireRecord>[]; readonly ports?: readonly Wire<typeof WirePort>[] };
type WithPrepared = { readonly prepared?: readonly Wire<typeof WirePrepared>[] } | object;
type ControllerWire = WireFrame<typeof controllerWire1> | WireFrame<typeof controllerWire2>;

/** @returns undefined for a frame type that a newer controller knows. @throws FrameError */
export function parseControllerFrame(text: string, reader: FrameReader): ControllerFrame | undefined {
  const checks = reader.protocol === 1 ? checkController1 : checkController2;
  const wire = parseWire(text, checks) as ControllerWire | undefined;
  if (!wire) return undefined;
  if (wire.type === "claimed") {
    const { id, granted, reason } = wire;
    return { type: "claimed", id, granted, ...(reason === undefined ? {} : { reason }) };
  }
  if (wire.type === "trust") return { type: "trust", ca: wire.ca, issuer: wire.issuer };
  return asFrameError((): ControllerFrame => {
    if (wire.type === "probe") {
      const { id, port } = wire;
      return { type: "probe", id, vni: parseVni(wire.vni), mac: parseMac(wire.mac), ip: parseIp(wire.ip), port };
    }
    if (wire.type === "groups") {
      const hosts = wire.hosts.map((each) => ({ host: each.host, ...parseGroupChange(each) }));
      return { type: "groups", vni: parseVni(wire.vni), hosts };
    }
    const asOf = parseRevision(wire.asOf);
    const answersOf = (frame: WithAnswers): Answer[] =>
      "records" in frame ? parseRecords(frame, asOf, reader.host) : frame.answers.map(parseAnswer);
    const preparedOf = (frame: WithPrepared) =>
      "prepared" in frame && frame.prepared ? { prepared: frame.prepared.map(parsePrepared) } : {};
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
          ...(wire.isNew ? { isNew: true } : {}),
          ...(wire.groups ? { groups: true } : {}),
        };
      case "snapshot":
        return {
          type: "snapshot",
          asOf,
          ...(wire.since === undefined ? {} : { since: parseRevision(wire.since) }),
          networks: wire.networks.map(parseAgentNetwork),
          answers: answersOf(wire),
          ...preparedOf(wire),
          end: wire.end,
        };
      case "seed":
        return { type: "seed", asOf, answers: answersOf(wire) };
      case "answers":
        return { type: "answers", id: wire.id, asOf, answers: answersOf(wire) };
      case "changes":
        return {
          type: "changes",
          asOf,
          networks: wire.networks.map(parseAgentNetwork),
          gone: wire.gone.map(parseVni),
          answers: answersOf(wire),
          ...preparedOf(wire),
          ...(wire.self ? { self: { vtep: parseVtep(wire.self.vtep), vtepPort: wire.self.vtepPort } } : {}),
          end: wire.end,
        };
      case "base":
        return {
          type: "base",
          id: wire.id,
          asOf,
          ...(wire.since === undefined ? {} : { since: parseRevision(wire.since) }),
          vni: parseVni(wire.vni),
          answers: answersOf(wire),
          end: wire.end,
        };
      case "delta":
        return { type: "delta", asOf, vni: parseVni(wire.vni), answers: answersOf(wire) };
      case "hosts": {
        const hosts = wire.hosts.map((each) => {
          const { host } = each;
          return each.vtep === null ? { host, vtep: null } : { host, vtep: parseVtep(each.vtep), port: each.port };
        });
        return { type: "hosts", asOf, vni: parseVni(wire.vni), whole: wire.whole, hosts, end: wire.end };
      }
      case "senders": {
        const hosts = wire.hosts.map(({ host, vtep }) => ({ host, vtep: vtep === null ? null : parseVtep(vtep) }));
        return { type: "senders", asOf, vni: parseVni(wire.vni), whole: wire.whole, hosts, end: wire.end };
      }
      case "heartbeat":
        return { type: "heartbeat", asOf };
    }
  });
}
