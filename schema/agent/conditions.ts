// Conditions of a host as its agent reports them: kinds and values, without text. condition-kinds.ts has what they mean, and the texts.
import { parseVni, type Vni } from "../address/index.ts";
import { type Static, Type } from "../typebox.ts";
import {
  allConditionKinds,
  type ConditionKind,
  type HostConditionKind,
  isHostConditionKind,
} from "./condition-kinds.ts";
import { type ConditionValueType, conditionValues, isConditionValue } from "./condition-values.ts";

export interface ConditionFacts<Kind extends ConditionKind = ConditionKind> {
  readonly kind: Kind;
  /** A key of the kind's `texts`. */
  readonly reason: string;
  /** Absent: it concerns the host. */
  readonly vni?: Vni;
  readonly values: Readonly<Record<string, string>>;
}
export type ReportedCondition = ConditionFacts<HostConditionKind>;

/** Maximum of one host, as sent and as kept; an agent leaves out what is beyond. */
export const maxConditionsPerHost = 256;
/** In one frame: each has less than 1 KiB. */
export const maxConditionsPerFrame = 48;

/** Names a condition on its host: kind, network and subject. */
export function conditionKey({ kind, vni, values }: ConditionFacts): string {
  const { subject } = allConditionKinds[kind];
  return [kind, vni ?? "", (subject !== undefined && values[subject]) || ""].join(" ");
}

export interface ConditionText {
  readonly reason: string;
  /** Absent: the reason says it all. */
  readonly fix?: string;
}

/** The whole sentence, as agents up to version 1 of the protocol sent it. @param network the name of the network of its VNI */
export function conditionSentence({ kind, reason, values }: ConditionFacts, network?: string): string {
  return fill(allConditionKinds[kind].texts[reason] ?? "", values, network).replace("¦", "");
}

/** Without the name of the network before it: that is shown beside the text. */
export function conditionText({ kind, reason, values }: ConditionFacts, network?: string): ConditionText {
  const template = withoutPrefix(allConditionKinds[kind].texts[reason] ?? "");
  const [says = "", fix] = template.split("¦");
  const text = fill(says, values, network).replace(/[\s:;.]+$/, "");
  return { reason: text, ...(fix ? { fix: fill(fix, values, network) } : {}) };
}

export const withoutPrefix = (template: string): string => template.replace(/^network \{network\}: /, "");

/** The placeholders of a text, in order: name and type, each name as often as it occurs. */
export function placeholdersOf(template: string): { readonly name: string; readonly type: ConditionValueType }[] {
  const types = new Map<string, ConditionValueType>();
  return [...template.matchAll(/\{(\w+)(?::(\w+))?\}/g)].map(([, name = "", said]) => {
    const type = (said ?? types.get(name) ?? name) as ConditionValueType;
    if (!Object.hasOwn(conditionValues, type)) throw new Error(`${name} in a text of a condition has no type`);
    types.set(name, type);
    return { name, type };
  });
}

function fill(template: string, values: ConditionFacts["values"], network: string | undefined): string {
  return template.replace(/\{(\w+)(?::\w+)?\}/g, (_all, name: string) =>
    name === "network" ? (network ?? "?") : (values[name] ?? "?"),
  );
}

/** A hundred years: what is longer is no duration. */
const maxAgoMs = 3_155_760_000_000;

const WireCondition = Type.Object({
  kind: Type.String({ maxLength: 64 }),
  reason: Type.String({ maxLength: 64 }),
  vni: Type.Optional(Type.Integer()),
  values: Type.Record(Type.String({ maxLength: 32 }), Type.String({ maxLength: 512 }), { maxProperties: 16 }),
  agoMs: Type.Integer({ minimum: 0, maximum: maxAgoMs }),
});
const WireKey = Type.Object({
  kind: Type.String({ maxLength: 64 }),
  vni: Type.Optional(Type.Integer()),
  subject: Type.Optional(Type.String({ maxLength: 64 })),
});

/** Of the frame `conditions`. */
export const WireConditions = Type.Object({
  whole: Type.Optional(Type.Boolean()),
  watchedMs: Type.Integer({ minimum: 0, maximum: maxAgoMs }),
  undecided: Type.Optional(Type.Array(WireKey, { maxItems: maxConditionsPerHost })),
  add: Type.Array(WireCondition, { maxItems: maxConditionsPerFrame }),
  remove: Type.Array(WireKey, { maxItems: maxConditionsPerHost }),
  end: Type.Boolean(),
});

/** What names a condition without its values. */
export interface ConditionName {
  readonly kind: HostConditionKind;
  readonly vni?: Vni;
  readonly subject?: string;
}

export function conditionName({ kind, vni, values }: ReportedCondition): ConditionName {
  const { subject } = allConditionKinds[kind];
  const value = subject === undefined ? undefined : values[subject];
  return { kind, ...(vni === undefined ? {} : { vni }), ...(value === undefined ? {} : { subject: value }) };
}

export function keyOfName({ kind, vni, subject }: ConditionName): string {
  return [kind, vni ?? "", subject ?? ""].join(" ");
}

/** Leaves out kinds and reasons that a newer agent knows, and values that no honest agent sends. @throws AddressError */
export function parseConditions(wire: Static<typeof WireConditions>) {
  const add = wire.add.flatMap((each): (ReportedCondition & { readonly agoMs: number })[] => {
    const { kind, reason, vni, values, agoMs } = each;
    const template = isHostConditionKind(kind) ? allConditionKinds[kind].texts[reason] : undefined;
    if (template === undefined || !isHostConditionKind(kind)) return [];
    // A network's condition names the network.
    if (vni === undefined && template.includes("{network}")) return [];
    const needed = placeholdersOf(template).filter(({ name }) => name !== "network");
    const { subject } = allConditionKinds[kind];
    if (subject !== undefined && values[subject] === undefined) return [];
    const kept: Record<string, string> = {};
    for (const { name, type } of [...needed, ...subjectOf(kind)]) {
      const value = values[name];
      if (value === undefined || !isConditionValue(type, value)) return [];
      kept[name] = value;
    }
    return [{ kind, reason, ...(vni === undefined ? {} : { vni: parseVni(vni) }), values: kept, agoMs }];
  });
  const { whole = false, watchedMs, undecided = [], end } = wire;
  return { whole, watchedMs, undecided: parseNames(undecided), add, remove: parseNames(wire.remove), end };
}

function parseNames(names: readonly Static<typeof WireKey>[]): ConditionName[] {
  return names.flatMap(({ kind, vni, subject }) =>
    isHostConditionKind(kind)
      ? [{ kind, ...(vni === undefined ? {} : { vni: parseVni(vni) }), ...(subject === undefined ? {} : { subject }) }]
      : [],
  );
}

/** The subject and its type, which some text of the kind names. */
function subjectOf(kind: HostConditionKind): { readonly name: string; readonly type: ConditionValueType }[] {
  const { subject, texts } = allConditionKinds[kind];
  if (subject === undefined) return [];
  const found = Object.values(texts)
    .flatMap(placeholdersOf)
    .find(({ name }) => name === subject);
  return found ? [found] : [];
}
