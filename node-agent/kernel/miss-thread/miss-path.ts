// The way of one miss in the thread: the table, the guest's question, one request, its acknowledgement, the reply. It runs on made-up data as
// well, so that the processor has it in its caches. Everything that it touches is laid out beforehand: nothing is allocated.
import { keyWords, type RemoteWords, readRemote, type SharedTable } from "../../tables/replica-rows.ts";
import type { LeanCalls } from "./lean-calls.ts";
import { noQuestion, type Questions } from "./questions.ts";
import { control, kinds, record, recordWords, ringRecords, type ThreadData } from "./shared.ts";
import type { FrameTemplate, RequestTemplate } from "./templates.ts";

/** Places in the thread's memory. */
export const places = {
  miss: 0,
  missBytes: 512,
  question: 512,
  questionBytes: 128,
  poll: 640,
  to: 656,
  toBytes: 20,
  wake: 680,
  timeout: 688,
  acknowledgements: 1_024,
  acknowledgementBytes: 4_096,
  frames: 5_120,
  requests: 6_144,
} as const;
export const memoryBytes = 8_192;
const templateBytes = 512;

const MSG_DONTWAIT = 0x40;
const AF_PACKET = 17;
const POLLIN = 1;
const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const NLMSG_ERROR = 2;
const NUD_STALE = 4;
const NDA_DST = 1;
const NTF_ROUTER = 0x80;
const NA_ROUTER = 0x80;
const IPPROTO_ICMPV6 = 58;
/** Behind struct nlmsghdr: ndm_ifindex, ndm_state, the first attribute. */
const ifindexAt = 20;
const stateAt = 24;
const attributeAt = 28;
/** Messages of a request; the last is the one that is acknowledged. */
const lastMessage = 3;
/** Questions read at a time. */
const maxHeard = 512;
/**
 * The kernel raises the miss before the bridge has delivered the question, some 50 µs later. Look-ups without waiting, then how long to wait, ms.
 */
const looks = 100;
const maxWaitMs = 2;

/** A network that the thread serves. */
export interface ServedNetwork {
  readonly slot: number;
  readonly ifindex: number;
  readonly bridgeIfindex: number;
  /** A packet socket. */
  readonly socket: number;
  readonly questions: Questions;
  readonly table: SharedTable;
  /** Of the main thread's clock. */
  readonly untilMs: number;
  /** It is made up: the kernel has no such device. */
  readonly isMadeUp: boolean;
}

/** A device that cannot exist. */
export const madeUpIfindex = 0x7fff_fffe;

export class MissPath {
  readonly memory: DataView;
  private readonly bytes: Uint8Array;
  private readonly control: Int32Array;
  private readonly ring: Uint32Array;
  private readonly times: Float64Array;
  /** In place of the ring's record for runs on made-up data. */
  private readonly scratch = new Uint32Array(recordWords);
  private readonly scratchTimes = new Float64Array(this.scratch.buffer);
  private readonly key = new Uint32Array(keyWords);
  private readonly remote: RemoteWords = {
    macHigh: 0,
    macLow: 0,
    router: false,
    vtep: new Uint32Array(keyWords),
    vtepPort: 0,
    revisionHigh: 0,
    revisionLow: 0,
  };
  private family = 4;
  private port = 0;
  private isRefused = false;
  private seq = 0;
  /** Time of the main thread when this thread's clock was 0. */
  private readonly shiftMs: number;
  /** Records of which the main thread was not notified. */
  unannounced = 0;

  /** @param base the address of `buffer` */
  constructor(
    private readonly calls: LeanCalls,
    buffer: ArrayBuffer,
    private readonly base: number,
    private readonly data: ThreadData,
    ownOriginMs: number,
  ) {
    this.memory = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    this.control = data.control;
    this.ring = data.ring;
    this.times = new Float64Array(data.ring.buffer);
    this.shiftMs = ownOriginMs - data.originMs;
    data.requests.forEach(({ bytes }, i) => void this.bytes.set(bytes, places.requests + i * templateBytes));
    data.replies.forEach(({ bytes }, i) => void this.bytes.set(bytes, places.frames + i * templateBytes));
    this.memory.setUint16(places.to, AF_PACKET, true);
    this.memory.setUint8(places.to + 11, 6);
    this.memory.setInt16(places.poll + 4, POLLIN, true);
  }

  /** Of the main thread's clock, ms. */
  nowMs(): number {
    return performance.now() + this.shiftMs;
  }

  /** A miss of `length` bytes is in the memory. @param networks by ifindex; a made-up miss has its own */
  take(length: number, networks: ReadonlyMap<number, ServedNetwork>): void {
    if (!this.readMiss(length)) return;
    const missedMs = this.nowMs();
    const ifindex = this.memory.getInt32(places.miss + ifindexAt, true);
    const network = networks.get(ifindex);
    const isMadeUp = network?.isMadeUp === true;
    if (!isMadeUp) Atomics.add(this.control, control.misses, 1);
    const question = network === undefined ? noQuestion : this.decide(network, missedMs);
    if (network === undefined || question < 0) this.handOver(ifindex, missedMs, isMadeUp);
    else this.answer(network, question, missedMs);
    if (isMadeUp) return;
    Atomics.add(this.control, control.misses, 1);
    if (Atomics.exchange(this.control, control.fence, 0) !== 0) this.wake();
  }

  /** Reads what the network's guests ask. */
  listen({ socket, questions }: ServedNetwork, nowMs: number, max = maxHeard): void {
    const { question, questionBytes } = places;
    for (let left = max; left > 0; left--) {
      const length = this.calls.recv(socket, this.base + question, questionBytes, MSG_DONTWAIT);
      if (length <= 0) return;
      questions.hear(this.memory, question, length, nowMs);
    }
  }

  /** The main thread reads the ring soon. */
  wake(): void {
    this.unannounced = 0;
    if (Atomics.exchange(this.control, control.woken, 1) === 0)
      this.calls.write(this.data.sockets.wake, this.base + places.wake, 1);
  }

  /** An IP address that is missed: into `key`. */
  private readMiss(length: number): boolean {
    const { memory, key } = this;
    const { miss } = places;
    if (length < attributeAt + 8 || memory.getUint16(miss + 4, true) !== RTM_GETNEIGH) return false;
    if (memory.getUint16(miss + stateAt, true) !== NUD_STALE) return false;
    if (memory.getUint16(miss + attributeAt + 2, true) !== NDA_DST) return false;
    const bytes = memory.getUint16(miss + attributeAt, true) - 4;
    if (bytes === 4) {
      key[0] = key[1] = 0;
      key[2] = 0xffff;
      key[3] = memory.getUint32(miss + attributeAt + 4);
      this.family = 4;
      return true;
    }
    if (bytes !== 16 || length < attributeAt + 20) return false;
    for (let i = 0; i < keyWords; i++) key[i] = memory.getUint32(miss + attributeAt + 4 + 4 * i);
    this.family = 6;
    return true;
  }

  /** @returns the question to answer; below 0: the main thread decides */
  private decide(network: ServedNetwork, missedMs: number): number {
    if (network.untilMs < missedMs || !this.isAllowed(network.slot)) return noQuestion;
    if (!readRemote(network.table, this.key, this.remote)) return noQuestion;
    this.listen(network, missedMs);
    const question = network.questions.find(this.key, missedMs);
    return question === noQuestion ? this.waitFor(network, missedMs) : question;
  }

  private isAllowed(slot: number): boolean {
    const allowed = Atomics.load(this.control, control.allowed + slot);
    const given = Atomics.load(this.control, control.given + slot);
    return ((allowed - given) | 0) > 0;
  }

  private waitFor(network: ServedNetwork, missedMs: number): number {
    let question = noQuestion;
    for (let left = looks; left > 0 && question === noQuestion; left--) {
      this.listen(network, missedMs);
      question = network.questions.find(this.key, missedMs);
    }
    for (let left = maxWaitMs; left > 0 && question === noQuestion; left--) {
      if (!this.isReadable(network.socket, 1)) continue;
      this.listen(network, missedMs);
      question = network.questions.find(this.key, missedMs);
    }
    return question;
  }

  /** Waits for a datagram. */
  isReadable(socket: number, timeoutMs: number): boolean {
    this.memory.setInt32(places.poll, socket, true);
    return this.calls.poll(this.base + places.poll, 1, timeoutMs) > 0;
  }

  private answer(network: ServedNetwork, question: number, missedMs: number): void {
    const { questions, isMadeUp, slot } = network;
    const asksHigh = questions.macHigh[question] ?? 0;
    const asksLow = questions.macLow[question] ?? 0;
    const vtepFamily = this.vtepFamily();
    if (!isMadeUp) Atomics.add(this.control, control.given + slot, 1);
    this.request(network, asksHigh, asksLow, vtepFamily);
    const writtenMs = this.nowMs();
    let isReplied = false;
    const isPort = this.port > 0 && this.port !== network.ifindex && this.port !== network.bridgeIfindex;
    if (isMadeUp || (isPort && !this.isRefused)) isReplied = this.reply(questions, question);
    questions.answered(question);
    const repliedMs = isReplied ? this.nowMs() : 0;
    const at = this.begin(isMadeUp);
    const to = isMadeUp ? this.scratch : this.ring;
    const times = isMadeUp ? this.scratchTimes : this.times;
    const { remote, key } = this;
    to[at + record.kind] = kinds.answered;
    to[at + record.ifindex] = network.ifindex;
    to[at + record.slot] = slot;
    to[at + record.family] = this.family;
    times[(at + record.missedMs) / 2] = missedMs;
    times[(at + record.writtenMs) / 2] = writtenMs;
    times[(at + record.repliedMs) / 2] = repliedMs;
    to[at + record.macHigh] = remote.macHigh;
    to[at + record.macLow] = remote.macLow;
    to[at + record.router] = remote.router ? 1 : 0;
    to[at + record.vtepPort] = remote.vtepPort;
    to[at + record.askerHigh] = asksHigh;
    to[at + record.askerLow] = asksLow;
    to[at + record.revisionHigh] = remote.revisionHigh;
    to[at + record.revisionLow] = remote.revisionLow;
    for (let i = 0; i < keyWords; i++) {
      to[at + record.ip + i] = key[i] ?? 0;
      to[at + record.vtep + i] = remote.vtep[i] ?? 0;
      to[at + record.askerIp + i] = questions.askers[question * keyWords + i] ?? 0;
    }
    this.end(isMadeUp);
  }

  private handOver(ifindex: number, missedMs: number, isMadeUp: boolean): void {
    const at = this.begin(isMadeUp);
    const to = isMadeUp ? this.scratch : this.ring;
    to[at + record.kind] = kinds.missed;
    to[at + record.ifindex] = ifindex;
    to[at + record.family] = this.family;
    (isMadeUp ? this.scratchTimes : this.times)[(at + record.missedMs) / 2] = missedMs;
    for (let i = 0; i < keyWords; i++) to[at + record.ip + i] = this.key[i] ?? 0;
    this.end(isMadeUp);
    // A guest waits for what the main thread does.
    if (!isMadeUp) this.wake();
  }

  /** IPv4-mapped, as in the table. */
  private vtepFamily(): number {
    const { vtep } = this.remote;
    return vtep[0] === 0 && vtep[1] === 0 && vtep[2] === 0xffff ? 4 : 6;
  }

  /** Writes the entries, asks for the guest's port, and reads what the kernel says to each. */
  private request(network: ServedNetwork, askerHigh: number, askerLow: number, vtepFamily: number): void {
    const { memory, remote, key, data, base, calls } = this;
    // In the order of `data`: by family, then by that of the VTEP.
    const which = (this.family === 4 ? 0 : 2) + (vtepFamily === 4 ? 0 : 1);
    const template = data.requests[which] as RequestTemplate;
    const start = places.requests + which * templateBytes;
    this.seq = (this.seq + 1) & 0x0fff_ffff;
    for (let i = 0; i <= lastMessage; i++)
      memory.setUint32(start + (template.seqs[i] ?? 0), this.seq * (lastMessage + 1) + i, true);
    memory.setInt32(start + template.bridge, network.bridgeIfindex, true);
    this.setMac(start + template.asker, askerHigh, askerLow);
    for (let i = 0; i < template.ifindexes.length; i++)
      memory.setInt32(start + (template.ifindexes[i] ?? 0), network.ifindex, true);
    for (let i = 0; i < template.macs.length; i++)
      this.setMac(start + (template.macs[i] ?? 0), remote.macHigh, remote.macLow);
    this.setIp(start + template.vtep, vtepFamily, remote.vtep, 0);
    memory.setUint16(start + template.vtepPort, remote.vtepPort);
    const flags = template.bytes[template.tunnelFlags] ?? 0;
    memory.setUint8(start + template.tunnelFlags, remote.router ? flags | NTF_ROUTER : flags);
    this.setIp(start + template.ip, this.family, key, 0);
    this.port = 0;
    // Until the acknowledgement.
    this.isRefused = true;
    const { requests } = data.sockets;
    if (calls.send(requests, base + start, template.bytes.length, 0) > 0) this.readAnswers(requests);
  }

  /** The kernel works within the system call that sends: its answers wait. */
  private readAnswers(requests: number): void {
    const { memory, base, calls } = this;
    const { acknowledgements: at, acknowledgementBytes } = places;
    let wasRefused = false;
    for (;;) {
      const length = calls.recv(requests, base + at, acknowledgementBytes, MSG_DONTWAIT);
      if (length < 20) return;
      const type = memory.getUint16(at + 4, true);
      const seq = memory.getUint32(at + 8, true);
      if (Math.floor(seq / (lastMessage + 1)) !== this.seq) continue;
      const message = seq % (lastMessage + 1);
      if (type === RTM_NEWNEIGH && message === 0) this.port = memory.getInt32(at + ifindexAt, true);
      if (type !== NLMSG_ERROR) continue;
      if (message > 0 && memory.getInt32(at + 16, true) !== 0) wasRefused = true;
      if (message < lastMessage) continue;
      this.isRefused = wasRefused;
      return;
    }
  }

  /** @returns whether the guest's port took the frame */
  private reply(questions: Questions, question: number): boolean {
    const { memory, remote, key, data, base, calls } = this;
    const which = this.family === 4 ? 0 : 1;
    const template = data.replies[which] as FrameTemplate;
    const start = places.frames + which * templateBytes;
    for (let i = 0; i < template.askerMacs.length; i++)
      this.setMac(
        start + (template.askerMacs[i] ?? 0),
        questions.macHigh[question] ?? 0,
        questions.macLow[question] ?? 0,
      );
    this.setIp(start + template.askerIp, this.family, questions.askers, question * keyWords);
    for (let i = 0; i < template.macs.length; i++)
      this.setMac(start + (template.macs[i] ?? 0), remote.macHigh, remote.macLow);
    for (let i = 0; i < template.ips.length; i++) this.setIp(start + (template.ips[i] ?? 0), this.family, key, 0);
    if (template.flags !== undefined && template.checksum !== undefined) {
      const flags = template.bytes[template.flags] ?? 0;
      memory.setUint8(start + template.flags, remote.router ? flags | NA_ROUTER : flags);
      this.sum(start, template.bytes.length, start + template.checksum);
    }
    memory.setInt32(places.to + 4, this.port > 0 ? this.port : madeUpIfindex, true);
    const { frames } = data.sockets;
    const { to, toBytes } = places;
    return calls.sendto(frames, base + start, template.bytes.length, MSG_DONTWAIT, base + to, toBytes) > 0;
  }

  /** RFC 4443 §2.3, over the pseudo-header of RFC 8200 §8.1. */
  private sum(start: number, length: number, checksumAt: number): void {
    const { memory } = this;
    const addresses = start + 14 + 8;
    const message = start + 14 + 40;
    memory.setUint16(checksumAt, 0);
    let sum = length - 14 - 40 + IPPROTO_ICMPV6;
    for (let at = addresses; at < start + length; at += 2) sum += memory.getUint16(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    memory.setUint16(message + 2, ~sum & 0xffff);
  }

  private setMac(at: number, high: number, low: number): void {
    this.memory.setUint16(at, high);
    this.memory.setUint32(at + 2, low);
  }

  private setIp(at: number, family: number, words: Uint32Array, from: number): void {
    if (family === 4) {
      this.memory.setUint32(at, words[from + 3] ?? 0);
      return;
    }
    for (let i = 0; i < keyWords; i++) this.memory.setUint32(at + 4 * i, words[from + i] ?? 0);
  }

  /** @returns where the next record begins; waits while the ring is full */
  private begin(isMadeUp: boolean): number {
    const { control: words } = this;
    const written = Atomics.load(words, control.written);
    if (isMadeUp) return 0;
    for (;;) {
      const read = Atomics.load(words, control.read);
      if (((written - read) | 0) < ringRecords || Atomics.load(words, control.stop) !== 0) break;
      this.wake();
      Atomics.wait(words, control.read, read, 50);
    }
    return ((written >>> 0) % ringRecords) * recordWords;
  }

  private end(isMadeUp: boolean): void {
    if (isMadeUp) return;
    Atomics.add(this.control, control.written, 1);
    this.unannounced += 1;
  }
}
