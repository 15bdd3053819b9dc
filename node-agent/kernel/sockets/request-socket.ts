// Requests to the kernel and their acknowledgements. One socket, apart from the one that listens for misses, so that a
// storm of misses can never cost an acknowledgement.
import { RawNetlinkSocket } from "netlink";
import { Slices } from "../../../common/cooperative.ts";
import { SerialQueue } from "../../../common/serial-queue.ts";
import {
  type Acknowledgement,
  decodeAcknowledgement,
  encodeMessage,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  seqOf,
  splitMessages,
} from "../codec/netlink-codec.ts";
import { Dump } from "./dump.ts";
import { receive, SystemCallError, sendTo } from "./libc.ts";
import { guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
/** Requests without an answer at one time: keeps every acknowledgement within the receive buffer. */
const maxWindow = 64;
/** Timeout for an acknowledgement, ms: a lost one never arrives. */
const replyTimeoutMs = 5_000;
const dumpAttempts = 5;
/** The kernel's largest part of a dump is 32 KiB. */
const maxDatagramBytes = 64 * 1024;
/** struct sockaddr_nl of the kernel: family AF_NETLINK, port 0. */
const kernelAddress = Buffer.of(16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

export interface Request {
  readonly type: number;
  /** NLM_F_CREATE and the like; NLM_F_REQUEST, and NLM_F_ACK where an answer is due, are added. */
  readonly flags: number;
  readonly payload: Buffer;
}

/** A request that the kernel refused, or did not answer. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  constructor(
    what: string,
    readonly acknowledgement: Acknowledgement,
  ) {
    super(`${what}: ${describe(acknowledgement)}`);
  }

  /** The error without the kernel's own text beside it. */
  get errnoText(): string {
    return describe({ errno: this.acknowledgement.errno });
  }
}

const errnoNames: Readonly<Record<number, string>> = {
  1: "EPERM, needs CAP_NET_ADMIN",
  2: "ENOENT",
  12: "ENOMEM, the kernel has no memory for it",
  16: "EBUSY",
  17: "EEXIST",
  19: "ENODEV, no such device",
  22: "EINVAL",
  28: "ENOSPC",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  105: "ENOBUFS, the kernel's table is full",
  110: "no answer from the kernel",
};
export const ETIMEDOUT = 110;
const unsaid: Acknowledgement = { errno: ETIMEDOUT };

export function describe({ errno, message }: Acknowledgement): string {
  const name = errnoNames[errno] ?? `errno ${errno}`;
  return message ? `${message} (${name})` : name;
}

interface PendingDump {
  readonly what: string;
  readonly dump: Dump;
  settle(result: Dump | Error): void;
}

/**
 * The kernel carries out a request within the system call that sends it, and its acknowledgement waits before that
 * returns. So requests are sent and their answers read at once, without a turn of the event loop in between; later answers
 * (further parts of a dump) are read by the package's reader.
 */
export class RequestSocket {
  private readonly socket: RawNetlinkSocket;
  private readonly fd: number;
  private readonly pending = new Map<number, (acknowledgement: Acknowledgement) => void>();
  private readonly dumps = new Map<number, PendingDump>();
  private readonly gets = new Map<number, (answer: NetlinkMessage | Acknowledgement) => void>();
  private readonly datagram = Buffer.allocUnsafe(maxDatagramBytes);
  private readonly turns = new Slices(2, true);
  private seq = 0;
  /** Dumps wait for each other: the kernel answers a second one on a socket with EBUSY. */
  private readonly dumpQueue = new SerialQueue();
  /** Batches that are larger than the window, or that found it full, are sent one after the other. */
  private readonly batchQueue = new SerialQueue("stop");
  private queued = 0;

  /** Opens in the calling thread's network namespace, and stays there. */
  constructor(protocol = NETLINK_ROUTE) {
    this.socket = new RawNetlinkSocket(protocol);
    this.fd = guardSocket(this.socket, { receiveBytes: 4 * 1024 * 1024, protocol }).fd;
    this.socket.on("message", (datagram) => this.receive(datagram));
    // Overruns are silenced by the guard; anything else leaves the requests to their timeouts.
    this.socket.on("error", () => {});
  }

  /**
   * Sends all requests in order, up to 64 in one system call, and returns the kernel's answer to each. Up to 64 of them
   * are in the kernel when this returns its promise, unless earlier batches are still on their way.
   */
  send(requests: readonly Request[]): Promise<Acknowledgement[]> {
    if (this.queued === 0 && this.pending.size + requests.length <= maxWindow) return this.sendWindow(requests);
    this.queued++;
    return this.batchQueue.run(() => this.sendWindows(requests));
  }

  private async sendWindows(requests: readonly Request[]): Promise<Acknowledgement[]> {
    const acknowledgements: Acknowledgement[] = [];
    for (let at = 0; at < requests.length; at += maxWindow) {
      acknowledgements.push(...(await this.sendWindow(requests.slice(at, at + maxWindow))));
    }
    this.queued--;
    return acknowledgements;
  }

  /** @throws NetlinkError where the kernel refuses */
  async request(what: string, request: Request): Promise<void> {
    const [acknowledgement] = await this.send([request]);
    if (acknowledgement && acknowledgement.errno !== 0) throw new NetlinkError(what, acknowledgement);
  }

  /**
   * All or nothing: requests between the two messages that begin and end a transaction (nfnetlink_rcv_batch() in
   * net/netfilter/nfnetlink.c). A commit that fails is answered to the first. The last is answered by new kernels only.
   * @throws NetlinkError with the first refusal
   */
  async transact(what: string, requests: readonly Request[], [begin, end]: readonly [Request, Request]): Promise<void> {
    await this.batchQueue.idle;
    const acknowledgements = await new Promise<Acknowledgement[]>((resolve) => {
      const answers: Acknowledgement[] = [];
      const parts = [begin, ...requests, end];
      const seqs = parts.map(() => this.nextSeq());
      const timer = setTimeout(() => settle(unsaid), replyTimeoutMs);
      const finish = (): void => {
        clearTimeout(timer);
        for (const seq of seqs) this.pending.delete(seq);
        resolve(answers);
      };
      const settle = (answer: Acknowledgement): void => {
        answers.push(answer);
        if (answer.errno !== 0 || answers.length === requests.length) finish();
      };
      const asked = seqs.slice(1, -1);
      for (const seq of asked) this.pending.set(seq, settle);
      this.pending.set(seqs[0] ?? 0, settle);
      const bytes = parts.map(({ type, flags, payload }, i) => {
        const acknowledge = requests.includes(parts[i] ?? begin) ? NLM_F_ACK : 0;
        return encodeMessage(type, flags | NLM_F_REQUEST | acknowledge, seqs[i] ?? 0, payload);
      });
      this.transmit(asked, Buffer.concat(bytes));
    });
    const refusal = acknowledgements.find(({ errno }) => errno !== 0);
    if (refusal) throw new NetlinkError(what, refusal);
  }

  /** The one answer to a request that is not a dump, undefined if there is none. */
  async get(type: number, payload: Buffer): Promise<NetlinkMessage | undefined> {
    const answer = await this.ask(type, payload);
    return "errno" in answer ? undefined : answer;
  }

  /** The one answer to a request that is not a dump, or why there is none. */
  ask(type: number, payload: Buffer): Promise<NetlinkMessage | Acknowledgement> {
    return new Promise((resolve) => {
      const seq = this.nextSeq();
      let timer: NodeJS.Timeout | undefined;
      const settle = (answer: NetlinkMessage | Acknowledgement): void => {
        clearTimeout(timer);
        this.gets.delete(seq);
        resolve(answer);
      };
      this.gets.set(seq, settle);
      this.transmit([seq], encodeMessage(type, NLM_F_REQUEST, seq, payload));
      if (this.gets.has(seq)) timer = setTimeout(settle, replyTimeoutMs, unsaid);
    });
  }

  /**
   * All messages of a dump, which shows what was sent before it, as of one moment between our own writes; repeated while the
   * kernel says that the table changed under it.
   * @throws NetlinkError
   */
  async dump(what: string, type: number, payload: Buffer): Promise<NetlinkMessage[]> {
    return (await this.readDump(what, type, payload)).messages();
  }

  /**
   * The same for what may be tens of thousands: some at a time, others having their turns of the event loop between them.
   * @throws NetlinkError
   */
  async *dumpInTurns(what: string, type: number, payload: Buffer): AsyncGenerator<NetlinkMessage[], void> {
    // Reading is one piece (see dump.ts), about 0.5 ms for 1,000 entries: others have their turn before.
    const dump = await this.readDump(what, type, payload, () => this.turns.next());
    yield* dump.lots(this.turns);
  }

  private readDump(what: string, type: number, payload: Buffer, before = async () => {}): Promise<Dump> {
    return this.dumpQueue.run(async () => {
      await before();
      await this.batchQueue.idle;
      for (let attempt = 1; ; attempt++) {
        const read = await this.dumpOnce(what, type, payload);
        if (!read.interrupted || attempt === dumpAttempts) return read;
      }
    });
  }

  close(): void {
    this.socket.close();
    for (const settle of this.pending.values()) settle({ errno: ETIMEDOUT, message: "the socket was closed" });
    for (const settle of this.gets.values()) settle(unsaid);
    for (const dump of this.dumps.values()) dump.settle(new Error("the netlink socket was closed"));
  }

  private sendWindow(requests: readonly Request[]): Promise<Acknowledgement[]> {
    if (requests.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const acknowledgements: Acknowledgement[] = requests.map(() => unsaid);
      const seqs = requests.map(() => this.nextSeq());
      const last = requests.length - 1;
      let timer: NodeJS.Timeout | undefined;
      const finish = (): void => {
        clearTimeout(timer);
        for (const seq of seqs) this.pending.delete(seq);
        resolve(acknowledgements);
      };
      // The kernel works in order and reports every failure unasked (netlink_rcv_skb() in net/netlink/af_netlink.c), so
      // the last acknowledgement vouches for all before it that it said nothing of.
      seqs.forEach((seq, i) => {
        this.pending.set(seq, (acknowledgement) => {
          acknowledgements[i] = acknowledgement;
          if (i < last) return;
          for (let at = 0; at < last; at++) if (acknowledgements[at] === unsaid) acknowledgements[at] = { errno: 0 };
          finish();
        });
      });
      const bytes = requests.map(({ type, flags, payload }, i) =>
        encodeMessage(type, flags | NLM_F_REQUEST | (i === last ? NLM_F_ACK : 0), seqs[i] ?? 0, payload),
      );
      this.transmit(seqs, Buffer.concat(bytes));
      if (this.pending.has(seqs[last] ?? 0)) timer = setTimeout(finish, replyTimeoutMs);
    });
  }

  private dumpOnce(what: string, type: number, payload: Buffer): Promise<Dump> {
    return new Promise((resolve, reject) => {
      const seq = this.nextSeq();
      const timer = setTimeout(() => settle(new NetlinkError(what, { errno: ETIMEDOUT })), replyTimeoutMs);
      const settle = (result: Dump | Error): void => {
        clearTimeout(timer);
        this.dumps.delete(seq);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      this.dumps.set(seq, { what, dump: new Dump(), settle });
      this.transmit([seq], encodeMessage(type, NLM_F_REQUEST | NLM_F_DUMP, seq, payload));
    });
  }

  private transmit(seqs: readonly number[], bytes: Buffer): void {
    try {
      sendTo(this.fd, bytes, kernelAddress);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      for (const seq of seqs) this.refuse(seq, error.errno);
      return;
    }
    while (this.isWaitedFor(seqs.at(-1) ?? 0)) {
      const datagram = this.readNow();
      if (!datagram) break;
      this.receive(datagram);
    }
  }

  private isWaitedFor(seq: number): boolean {
    return this.pending.has(seq) || this.gets.has(seq) || this.dumps.has(seq);
  }

  /** A copy: messages of a dump are kept. */
  private readNow(): Buffer | undefined {
    try {
      const datagram = receive(this.fd, this.datagram);
      return datagram && Buffer.from(datagram);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  private refuse(seq: number, errno: number): void {
    this.pending.get(seq)?.({ errno });
    this.gets.get(seq)?.({ errno });
    const dump = this.dumps.get(seq);
    dump?.settle(new NetlinkError(dump.what, { errno }));
  }

  private receive(datagram: Buffer): void {
    const pending = this.dumps.get(seqOf(datagram));
    if (pending) {
      this.receiveDump(pending, datagram);
      return;
    }
    for (const message of splitMessages(datagram)) {
      const get = this.gets.get(message.seq);
      if (get) get(message.type === NLMSG_ERROR ? (decodeAcknowledgement(message) ?? unsaid) : message);
      else {
        const acknowledgement = decodeAcknowledgement(message);
        if (acknowledgement) this.pending.get(message.seq)?.(acknowledgement);
      }
    }
  }

  private receiveDump({ what, dump, settle }: PendingDump, part: Buffer): void {
    if (!dump.add(part)) return;
    const { refusal } = dump;
    settle(refusal ? new NetlinkError(what, decodeAcknowledgement(refusal) ?? unsaid) : dump);
  }

  private nextSeq(): number {
    this.seq = (this.seq % 0x7fff_ffff) + 1;
    return this.seq;
  }
}
