// What chains of nf_tables do to a tunnelled packet, as far as their rules can be followed. Pure. A rule that depends on what is not
// known about the packet is no reason to say that it is dropped.
import {
  type BaseChain,
  decodeValue,
  decodeVerdict,
  type Expression,
  type Rule,
  type SetElement,
  type Verdict,
} from "../codec/rule-codec.ts";

/** Bytes of a packet; undefined: it may be any. */
type Bytes = readonly (number | undefined)[];

export interface TunnelPacket {
  readonly direction: "in" | "out";
  readonly device: string;
  readonly ifindex: number;
  readonly family: 4 | 6;
  /** Addresses as bytes; `source` undefined: of any host. */
  readonly source: Buffer | undefined;
  readonly destination: Buffer | undefined;
  readonly port: number;
}

/** The rules of a table that a base chain may reach, and the elements of the sets that they look into. */
export interface LoadedTable {
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  readonly sets: ReadonlyMap<string, readonly SetElement[]>;
}

/** `unsure`: something that is not known decides. */
export type Outcome = "accept" | "drop" | "unsure" | "continue";

const registersBytes = 64;
/** A loop of chains is refused by the kernel; its limit is 16. */
const maxDepth = 16;
const ETH_P = { 4: 0x0800, 6: 0x86dd } as const;
const nfproto = { 4: 2, 6: 10 } as const;
const IPPROTO_UDP = 17;
const ARPHRD_ETHER = 1;
/** NF_CT_STATE_BIT(IP_CT_NEW): both directions of a tunnel have source ports of their own, so no packet answers another. */
const stateNew = 8;
const stateUntracked = 64;

const be16 = (value: number): number[] => [value >> 8, value & 0xff];
const le32 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
const unknown = (length: number): Bytes => Array.from({ length }, () => undefined);
const named = (device: string): Bytes => [...Buffer.alloc(16, 0).fill(device, 0, Math.min(15, device.length))];

/** Follows a packet through one base chain after the other; what one of them sets, the next sees. */
export class RuleMachine {
  private state = stateNew;
  private registers: (number | undefined)[] = [];

  constructor(private readonly packet: TunnelPacket) {}

  run(base: BaseChain, table: LoadedTable): Outcome {
    const end = this.chain(base.name, table, 0);
    if (end !== "continue") return end;
    return base.drops ? "drop" : "accept";
  }

  private chain(name: string, table: LoadedTable, depth: number): Outcome {
    const rules = table.chains.get(name);
    if (!rules || depth > maxDepth) return "unsure";
    for (const rule of rules) {
      const verdict = this.rule(rule, table);
      const outcome = verdict === undefined ? "continue" : this.follow(verdict, table, depth);
      if (outcome === "return") return "continue";
      if (outcome !== "continue") return outcome;
    }
    return "continue";
  }

  private follow({ sure, code, chain }: Decided, table: LoadedTable, depth: number): Outcome | "return" {
    if (chain !== undefined && (code === NFT_JUMP || code === NFT_GOTO)) {
      const inner = this.chain(chain, table, depth + 1);
      if (inner === "continue") return sure && code === NFT_GOTO ? "return" : "continue";
      if (sure) return inner;
      return inner === "drop" ? "continue" : "unsure";
    }
    if (code === NF_DROP) return sure ? "drop" : "continue";
    if (code === NFT_RETURN) return sure ? "return" : "unsure";
    if (code === NFT_CONTINUE) return "continue";
    return sure && code === NF_ACCEPT ? "accept" : "unsure";
  }

  /** Undefined: the packet goes on to the next rule. */
  private rule(rule: Rule, table: LoadedTable): Decided | undefined {
    this.registers = [...unknown(registersBytes)];
    let sure = true;
    for (const expression of rule) {
      const result = this.step(expression, table);
      if (typeof result === "object") return { ...result, sure };
      if (result === "no") return undefined;
      if (result === "perhaps") sure = false;
    }
    return undefined;
  }

  private step({ name, data }: Expression, table: LoadedTable): "yes" | "no" | "perhaps" | Verdict {
    const number = (type: number): number => data.get(type)?.readInt32BE() ?? 0;
    switch (name) {
      case "meta":
        if (data.has(1)) this.write(number(1), this.meta(number(2)));
        return "yes";
      case "payload":
        if (data.has(1)) this.write(number(1), this.payload(number(2), number(3), number(4)));
        return "yes";
      case "ct":
        if (data.has(1)) this.write(number(1), number(2) === 0 ? le32(this.state) : unknown(16));
        return "yes";
      case "bitwise":
        this.write(number(2), this.bitwise(data));
        return "yes";
      case "cmp": {
        const value = decodeValue(data.get(3));
        return compare(this.read(number(1), value.length), number(2), value);
      }
      case "range": {
        const [from, to] = [decodeValue(data.get(3)), decodeValue(data.get(4))];
        const value = this.read(number(1), from.length);
        const within = both(compare(value, GTE, from), compare(value, LTE, to));
        return number(2) === 0 ? within : not(within);
      }
      case "lookup":
        return this.lookUp(data, table);
      case "immediate": {
        const verdict = number(1) === 0 ? decodeVerdict(data.get(2)) : undefined;
        if (verdict) return verdict;
        this.write(number(1), [...decodeValue(data.get(2))]);
        return "yes";
      }
      case "reject":
        return { code: NF_DROP };
      case "notrack":
        this.state = stateUntracked;
        return "yes";
      case "match":
        return matchOf(data.get(1), data.get(3) ?? Buffer.alloc(0), this.packet, this.state);
      case "target":
        return targetOf(data.get(1));
      case "counter":
      case "log":
        return "yes";
      default:
        // It writes registers that are not known, or decides by what is not known.
        this.registers = [...unknown(registersBytes)];
        return "perhaps";
    }
  }

  private meta(key: number): Bytes {
    const { family, device, ifindex, direction } = this.packet;
    const incoming = direction === "in";
    switch (key) {
      case 1:
        return be16(ETH_P[family]);
      case 4:
        return le32(incoming ? ifindex : 0);
      case 5:
        return le32(incoming ? 0 : ifindex);
      case 6:
        return incoming ? named(device) : unknown(16);
      case 7:
        return incoming ? unknown(16) : named(device);
      case 8:
        return incoming ? [ARPHRD_ETHER, 0] : unknown(2);
      case 15:
        return [nfproto[family]];
      case 16:
        return [IPPROTO_UDP];
      default:
        return unknown(16);
    }
  }

  private payload(base: number, offset: number, length: number): Bytes {
    const { family, source, destination, port } = this.packet;
    const bytes = [...unknown(64)];
    const put = (at: number, values: Iterable<number>): void => {
      let index = at;
      for (const value of values) bytes[index++] = value;
    };
    if (base === 1) {
      put(0, family === 4 ? [0x45] : []);
      put(family === 4 ? 9 : 6, [IPPROTO_UDP]);
      const [from, to] = family === 4 ? [12, 16] : [8, 24];
      put(from, source ?? []);
      put(to, destination ?? []);
    } else if (base === 2) put(2, be16(port));
    return Array.from({ length }, (_, i) => bytes[offset + i]);
  }

  private bitwise(data: Expression["data"]): Bytes {
    const number = (type: number): number => data.get(type)?.readInt32BE() ?? 0;
    const length = number(3);
    if (number(6) !== 0) return unknown(length);
    const [mask, xor] = [decodeValue(data.get(4)), decodeValue(data.get(5))];
    return this.read(number(1), length).map((byte, i) => {
      const [keep = 0, flip = 0] = [mask[i], xor[i]];
      if (keep === 0) return flip;
      return byte === undefined ? undefined : (byte & keep) ^ flip;
    });
  }

  private lookUp(data: Expression["data"], table: LoadedTable): "yes" | "no" | "perhaps" | Verdict {
    const number = (type: number): number => data.get(type)?.readInt32BE() ?? 0;
    const elements = table.sets.get(data.get(1)?.toString("utf8").replace(/\0.*$/s, "") ?? "");
    const length = elements?.[0]?.key.length ?? 0;
    const value = this.read(number(2), length);
    const inverted = (number(5) & 1) !== 0;
    if (!elements || value.includes(undefined) || elements.some(({ isRange }) => isRange)) return "perhaps";
    const found = findElement(elements, Buffer.from(value as number[]));
    if (data.has(3)) {
      if (number(3) !== 0) return "perhaps";
      return found?.verdict ?? "no";
    }
    return (found !== undefined) !== inverted ? "yes" : "no";
  }

  private write(register: number, bytes: Bytes): void {
    const at = offsetOf(register);
    bytes.forEach((byte, i) => {
      this.registers[at + i] = byte;
    });
  }

  private read(register: number, length: number): Bytes {
    const at = offsetOf(register);
    return this.registers.slice(at, at + length);
  }
}

interface Decided extends Verdict {
  readonly sure: boolean;
}

const NF_DROP = 0;
const NF_ACCEPT = 1;
const NFT_CONTINUE = -1;
const NFT_JUMP = -3;
const NFT_GOTO = -4;
const NFT_RETURN = -5;
const LTE = 3;
const GTE = 5;

/** NFT_REG_1 … 4 are of 16 bytes, NFT_REG32_00 … 15 of 4 in the same place. */
const offsetOf = (register: number): number => (register >= 8 ? (register - 8) * 4 : (register - 1) * 16);

type Match = "yes" | "no" | "perhaps";

const not = (match: Match): Match => (match === "yes" ? "no" : match === "no" ? "yes" : "perhaps");
function both(a: Match, b: Match): Match {
  if (a === "no" || b === "no") return "no";
  return a === "yes" && b === "yes" ? "yes" : "perhaps";
}

/** As nft_cmp_eval() in net/netfilter/nft_cmp.c. */
function compare(bytes: Bytes, operator: number, value: Buffer): Match {
  const differs = bytes.some((byte, i) => byte !== undefined && byte !== value[i]);
  if (operator === 0 && differs) return "no";
  if (operator === 1 && differs) return "yes";
  if (bytes.includes(undefined) || bytes.length < value.length) return "perhaps";
  const order = Buffer.compare(Buffer.from(bytes as number[]), value);
  const results = [order === 0, order !== 0, order < 0, order <= 0, order > 0, order >= 0];
  return results[operator] ? "yes" : "no";
}

/** A range begins with an element, and ends before the next one that `ends`. */
function findElement(elements: readonly SetElement[], value: Buffer): SetElement | undefined {
  if (!elements.some(({ ends }) => ends)) return elements.find(({ key }) => key.equals(value));
  const below = elements.filter(({ key }) => Buffer.compare(key, value) <= 0);
  const last = below.reduce<SetElement | undefined>((a, b) => {
    const order = a ? Buffer.compare(a.key, b.key) : -1;
    // Where one range ends and the next begins, the value is in the next.
    return order < 0 || (order === 0 && !b.ends) ? b : a;
  }, undefined);
  return last?.ends ? undefined : last;
}

/** Matches of iptables, whose names and structures are those of include/uapi/linux/netfilter/xt_*.h. */
function matchOf(name: Buffer | undefined, info: Buffer, { port }: TunnelPacket, state: number): Match {
  const is = (yes: boolean): Match => (yes ? "yes" : "no");
  switch (name?.toString("utf8").replace(/\0.*$/s, "")) {
    case "comment":
      return "yes";
    case "tcp":
    case "icmp":
    case "icmp6":
      return "no";
    case "udp": {
      if (info.length < 9) return "perhaps";
      if (info.readUInt16LE(0) !== 0 || info.readUInt16LE(2) !== 0xffff) return "perhaps";
      const within = port >= info.readUInt16LE(4) && port <= info.readUInt16LE(6);
      return is(within !== ((info.readUInt8(8) & 2) !== 0));
    }
    case "multiport": {
      if (info.length < 48 || info.readUInt8(0) !== 1) return "perhaps";
      let found = false;
      for (let i = 0; i < info.readUInt8(1); i++) {
        const from = info.readUInt16LE(2 + 2 * i);
        const isRange = info.readUInt8(32 + i) !== 0;
        const to = isRange ? info.readUInt16LE(4 + 2 * i) : from;
        if (port >= from && port <= to) found = true;
        if (isRange) i++;
      }
      return is(found !== (info.readUInt8(47) !== 0));
    }
    case "state":
      return info.length < 4 ? "perhaps" : is((info.readUInt32LE(0) & state) !== 0);
    case "conntrack": {
      // struct xt_conntrack_mtinfo3; only its states can be followed.
      if (info.length < 152 || info.readUInt16LE(146) !== 1) return "perhaps";
      return is(((info.readUInt16LE(150) & state) !== 0) !== ((info.readUInt16LE(148) & 1) !== 0));
    }
    default:
      return "perhaps";
  }
}

function targetOf(name: Buffer | undefined): "yes" | "perhaps" | Verdict {
  switch (name?.toString("utf8").replace(/\0.*$/s, "")) {
    case "REJECT":
      return { code: NF_DROP };
    case "LOG":
    case "NFLOG":
    case "MARK":
    case "CONNMARK":
      return "yes";
    default:
      return "perhaps";
  }
}
