// Decodes chains, rules and set elements of nf_tables (include/uapi/linux/netfilter/nf_tables.h). No I/O; rule-machine.ts says what they
// do to a packet.
import { type Attributes, parseAttributes, readText } from "./netlink-codec.ts";

const nfgenmsgBytes = 4;
const NF_DROP = 0;
const none = Buffer.alloc(0);

/** What a packet of the internet family passes: as `nft` names them. */
export const filterFamilies = { 1: "inet", 2: "ip", 5: "netdev", 10: "ip6" } as const;
export type FilterFamily = keyof typeof filterFamilies;

export interface BaseChain {
  readonly family: FilterFamily;
  readonly table: string;
  readonly name: string;
  readonly hook: number;
  readonly priority: number;
  readonly drops: boolean;
  /** Of a hook of devices. */
  readonly devices: readonly string[];
}

/** An expression of a rule: its name and its attributes. */
export interface Expression {
  readonly name: string;
  readonly data: Attributes;
}
export type Rule = readonly Expression[];

export interface SetElement {
  readonly key: Buffer;
  /** It ends the range that the one before begins. */
  readonly ends: boolean;
  /** Of a verdict map. */
  readonly verdict?: Verdict;
  /** A range of its own: such sets are not looked into. */
  readonly isRange: boolean;
}

export interface Verdict {
  readonly code: number;
  readonly chain?: string;
}

const be32 = (bytes: Buffer | undefined): number | undefined =>
  bytes && bytes.length >= 4 ? bytes.readInt32BE() : undefined;
const inside = (bytes: Buffer | undefined): Attributes => parseAttributes(bytes ?? none);

function attributesOf(payload: Buffer): Attributes {
  return parseAttributes(payload.subarray(nfgenmsgBytes));
}

/** Elements of a list, each behind its own header. */
function* listed(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return;
    yield bytes.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

/** Undefined: not a base chain, or of a family that tunnelled packets do not pass. */
export function decodeBaseChain(payload: Buffer): BaseChain | undefined {
  if (payload.length < nfgenmsgBytes) return undefined;
  const family = payload.readUInt8(0);
  const attributes = attributesOf(payload);
  const table = readText(attributes.get(1));
  const name = readText(attributes.get(3));
  const hook = inside(attributes.get(4));
  const number = be32(hook.get(1));
  const priority = be32(hook.get(2));
  if (!(family in filterFamilies) || table === undefined || name === undefined) return undefined;
  if (number === undefined || priority === undefined) return undefined;
  const device = readText(hook.get(3));
  const devices = [...listed(hook.get(4) ?? none)].map((each) => readText(each) ?? "");
  return {
    family: family as FilterFamily,
    table,
    name,
    hook: number,
    priority,
    drops: be32(attributes.get(5)) === NF_DROP,
    devices: [...(device === undefined ? [] : [device]), ...devices],
  };
}

const NFT_TABLE_F_DORMANT = 1;

/** Family and name of a table whose chains do nothing. */
export function decodeDormant(payload: Buffer): string | undefined {
  if (payload.length < nfgenmsgBytes) return undefined;
  const attributes = attributesOf(payload);
  const dormant = ((be32(attributes.get(2)) ?? 0) & NFT_TABLE_F_DORMANT) !== 0;
  return dormant ? `${payload.readUInt8(0)} ${readText(attributes.get(1)) ?? ""}` : undefined;
}

export function decodeRule(payload: Buffer): Rule {
  if (payload.length < nfgenmsgBytes) return [];
  const expressions = attributesOf(payload).get(4) ?? none;
  return [...listed(expressions)].map((bytes) => {
    const expression = parseAttributes(bytes);
    return { name: readText(expression.get(1)) ?? "", data: inside(expression.get(2)) };
  });
}

export function decodeVerdict(data: Buffer | undefined): Verdict | undefined {
  const verdict = inside(data).get(2);
  const attributes = inside(verdict);
  const code = be32(attributes.get(1));
  const chain = readText(attributes.get(2));
  return code === undefined ? undefined : { code, ...(chain === undefined ? {} : { chain }) };
}

export const decodeValue = (data: Buffer | undefined): Buffer => inside(data).get(1) ?? none;

const NFT_SET_ELEM_INTERVAL_END = 1;

export function decodeElements(payload: Buffer): SetElement[] {
  if (payload.length < nfgenmsgBytes) return [];
  return [...listed(attributesOf(payload).get(3) ?? none)].map((bytes) => {
    const element = parseAttributes(bytes);
    const verdict = decodeVerdict(element.get(2));
    return {
      key: decodeValue(element.get(1)),
      ends: ((be32(element.get(3)) ?? 0) & NFT_SET_ELEM_INTERVAL_END) !== 0,
      isRange: element.has(10),
      ...(verdict ? { verdict } : {}),
    };
  });
}
