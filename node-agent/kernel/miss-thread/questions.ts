// What the guests of one bridge asked lately, as frames say it: who may wait for the address of a miss. packet-codec.ts reads the same frames on
// the main thread; here nothing is allocated. No I/O.
import { keyWords } from "../../tables/replica-rows.ts";

/** Of one network; more than ask within a moment. */
const capacity = 256;
/** A guest asks once a second, three times. */
const waitingMs = 3_000;

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const ARP_REQUEST = 1;
const IPPROTO_ICMPV6 = 58;
const NEIGHBOUR_SOLICITATION = 135;
const arpFrameBytes = 42;
const solicitationBytes = 14 + 40 + 24;
const mappedPrefix = 0xffff;

/** No guest is known to wait. */
export const noQuestion = -1;
/** The last question for it was a probe, or an announcement: it must not be answered. */
export const onlyProbe = -2;

const open = 1;
const probe = 2;
const answered = 3;

export class Questions {
  readonly targets = new Uint32Array(capacity * keyWords);
  readonly askers = new Uint32Array(capacity * keyWords);
  readonly macHigh = new Uint32Array(capacity);
  readonly macLow = new Uint32Array(capacity);
  private readonly states = new Uint8Array(capacity);
  private readonly atMs = new Float64Array(capacity);
  private next = 0;

  /** A frame of `length` bytes at `at`. Everything but ARP requests and neighbour solicitations is ignored. */
  hear(memory: DataView, at: number, length: number, nowMs: number): void {
    if (length < arpFrameBytes) return;
    const type = memory.getUint16(at + 12);
    if (type === ETHERTYPE_ARP) this.hearArp(memory, at, nowMs);
    else if (type === ETHERTYPE_IPV6 && length >= solicitationBytes) this.hearSolicitation(memory, at, nowMs);
  }

  /** @returns the newest open question for an address, `noQuestion` or `onlyProbe` */
  find(words: ArrayLike<number>, nowMs: number): number {
    const { targets, states } = this;
    let found = noQuestion;
    for (let back = 1; back <= capacity; back++) {
      const i = (this.next + capacity - back) % capacity;
      const at = i * keyWords;
      if (targets[at + 3] !== words[3] || targets[at + 2] !== words[2]) continue;
      if (targets[at + 1] !== words[1] || targets[at] !== words[0]) continue;
      if (nowMs - (this.atMs[i] ?? 0) > waitingMs) break;
      if (states[i] === open) return i;
      if (states[i] === probe && found === noQuestion) found = onlyProbe;
    }
    return found;
  }

  answered(question: number): void {
    this.states[question] = answered;
  }

  private hearArp(memory: DataView, at: number, nowMs: number): void {
    if (memory.getUint16(at + 20) !== ARP_REQUEST) return;
    const sender = memory.getUint32(at + 28);
    const target = memory.getUint32(at + 38);
    const i = this.begin(memory, at, nowMs, isOwnableIpv4(sender) && sender !== target);
    const { targets, askers } = this;
    const word = i * keyWords;
    targets[word] = askers[word] = 0;
    targets[word + 1] = askers[word + 1] = 0;
    targets[word + 2] = askers[word + 2] = mappedPrefix;
    targets[word + 3] = target;
    askers[word + 3] = sender;
  }

  private hearSolicitation(memory: DataView, at: number, nowMs: number): void {
    if (memory.getUint8(at + 20) !== IPPROTO_ICMPV6 || memory.getUint8(at + 54) !== NEIGHBOUR_SOLICITATION) return;
    const first = memory.getUint32(at + 22);
    let isOther = false;
    for (let i = 0; i < keyWords; i++) {
      if (memory.getUint32(at + 22 + 4 * i) !== memory.getUint32(at + 62 + 4 * i)) isOther = true;
    }
    // The unspecified, loopback and mapped addresses begin with zeros, and so do those of no interface.
    const i = this.begin(memory, at, nowMs, isOther && first !== 0 && first >>> 24 !== 0xff);
    for (let word = 0; word < keyWords; word++) {
      this.targets[i * keyWords + word] = memory.getUint32(at + 62 + 4 * word);
      this.askers[i * keyWords + word] = memory.getUint32(at + 22 + 4 * word);
    }
  }

  private begin(memory: DataView, at: number, nowMs: number, hasAsker: boolean): number {
    const i = this.next;
    this.next = (i + 1) % capacity;
    const high = memory.getUint16(at + 6);
    const low = memory.getUint32(at + 8);
    this.macHigh[i] = high;
    this.macLow[i] = low;
    this.atMs[i] = nowMs;
    const isOwnableMac = (high & 0x0100) === 0 && (high !== 0 || low !== 0);
    this.states[i] = hasAsker && isOwnableMac ? open : probe;
    return i;
  }
}

/** As `findIp`: what an interface can own. */
function isOwnableIpv4(ip: number): boolean {
  const first = ip >>> 24;
  return first !== 0 && first !== 127 && (first < 224 || first >= 240) && ip !== 0xffff_ffff;
}
