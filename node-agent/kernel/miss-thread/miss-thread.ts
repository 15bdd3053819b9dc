// The main thread's side of the thread that answers misses of networks in memory: starts it with the first such network, hands networks and
// allowances over, and reads its records. If it fails, all misses are read here again. (ADR 0230)
import { Socket } from "node:net";
import { MessageChannel, Worker } from "node:worker_threads";
import { every, type Repetition } from "../../../common/every.ts";
import type { Vni } from "../../../schema/address/index.ts";
import type { ThreadAnswer } from "../../misses/miss.ts";
import type { SharedTable } from "../../tables/replica-rows.ts";
import { openQuestionSocket } from "../sockets/guest-sockets.ts";
import { closeSocket, SystemCallError } from "../sockets/libc.ts";
import type { MissSocket } from "../sockets/miss-socket.ts";
import { RecordRing } from "./record-ring.ts";
import { control, maxServed, type ThreadMessage } from "./shared.ts";
import { families, replyTemplate, requestTemplate } from "./templates.ts";
import { closeThreadSockets, openThreadSockets, type ThreadSockets, unreadMisses } from "./thread-sockets.ts";

/** Interval of runs on made-up data, ms. */
export const heatMs = 20;
/** A thread that has not moved for this many checks is given up. */
const checkEveryMs = 2_000;
const maxStill = 3;

/** Node runs the build; tests run the sources, with the build beside them. */
const built = import.meta.url.endsWith(".ts") ? "../../../dist/node-agent/kernel/miss-thread/" : "./";

export type MissThreadState = "waiting for a network" | "starting" | "answering" | "failed";

/** The devices of a network. */
export interface NetworkDevice {
  readonly ifindex: number;
  readonly bridgeIfindex: number;
}

export interface MissThreadHandlers {
  /** @param ifindex of the vxlan device that missed */
  onAnswer(answer: ThreadAnswer, ifindex: number): void;
  /** All misses are read by the main thread from now on; entries may have been written of which no record tells. */
  onFailure(reason: string): void;
}

interface Served extends NetworkDevice {
  readonly slot: number;
  /** A packet socket. */
  readonly questions: number;
}

/** What the thread may still use until it has taken a message. */
interface Retired {
  readonly served: Served;
  readonly posted: number;
}

export class MissThread {
  state: MissThreadState = "waiting for a network";
  /** Why it failed. */
  reason: string | undefined;
  private readonly served = new Map<Vni, Served>();
  private retired: Retired[] = [];
  private readonly ring = new RecordRing();
  private readonly channel = new MessageChannel();
  private readonly freeSlots = Array.from({ length: maxServed }, (_, i) => maxServed - 1 - i);
  private sockets: ThreadSockets | undefined;
  private worker: Worker | undefined;
  private pipe: Socket | undefined;
  private check: Repetition | undefined;
  private handlers: MissThreadHandlers | undefined;
  private fences: { readonly misses: number; resolve(): void }[] = [];
  private isClosed = false;

  /** @param isWarm it runs on made-up data */
  constructor(
    private readonly misses: MissSocket,
    private readonly vniOf: (ifindex: number) => Vni | undefined,
    private readonly isWarm: boolean,
  ) {}

  /** Listens; before, no network is served. */
  read(handlers: MissThreadHandlers): void {
    this.handlers = handlers;
    if (this.served.size > 0) this.start();
  }

  /** Runs on made-up data so far, their time, and the present interval; 0: none. */
  get heat(): { readonly runs: number; readonly ms: number; readonly everyMs: number } {
    const { words } = this.ring;
    const [runs, us, everyMs] = [control.heats, control.heatUs, control.heatMs].map((at) => Atomics.load(words, at));
    return { runs: (runs ?? 0) >>> 0, ms: ((us ?? 0) >>> 0) / 1_000, everyMs: everyMs ?? 0 };
  }

  /**
   * The thread answers from this table from now on, or from these buffers of it. It needs an allowance.
   * @param untilMs of `performance.now()`
   */
  serve(vni: Vni, device: NetworkDevice, { table, untilMs }: { table: SharedTable; untilMs: number }): void {
    if (this.state === "failed" || this.isClosed) return;
    const served = this.servedAt(vni, device);
    if (!served) return;
    this.post({ do: "serve", ...served, table, untilMs });
    this.give();
    if (this.state === "waiting for a network" && this.handlers) this.start();
  }

  /** Misses of the network are read by the main thread from now on. */
  leave(vni: Vni): void {
    const served = this.served.get(vni);
    if (!served) return;
    this.served.delete(vni);
    this.give();
    this.post({ do: "leave", ifindex: served.ifindex });
    this.retired.push({ served, posted: Atomics.load(this.ring.words, control.posted) });
    this.reap();
  }

  /** The thread may have `count` answers that were not counted. */
  allow(vni: Vni, count: number): void {
    const served = this.served.get(vni);
    if (served) this.ring.allow(served.slot, count);
  }

  get servedCount(): number {
    return this.served.size;
  }

  /** Resolves when all answers that were begun before this call have been read. */
  fence(): Promise<void> {
    if (this.state !== "answering") return Promise.resolve();
    const { words } = this.ring;
    const misses = Atomics.load(words, control.misses);
    // What the thread has ended by then is in the ring.
    this.drain();
    if ((misses & 1) === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.fences.push({ misses, resolve });
      Atomics.store(words, control.fence, 1);
      // It may have ended before it could see that.
      if (Atomics.load(words, control.misses) !== misses) this.drain();
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.end();
    this.channel.port1.close();
  }

  private servedAt(vni: Vni, device: NetworkDevice): Served | undefined {
    const present = this.served.get(vni);
    if (present?.ifindex === device.ifindex && present.bridgeIfindex === device.bridgeIfindex) return present;
    this.leave(vni);
    this.reap();
    const slot = this.freeSlots.at(-1);
    if (slot === undefined) return undefined;
    try {
      const { ifindex, bridgeIfindex } = device;
      const served = { slot, ifindex, bridgeIfindex, questions: openQuestionSocket(bridgeIfindex) };
      this.freeSlots.pop();
      this.served.set(vni, served);
      return served;
    } catch (error) {
      // The bridge is gone: the network gets other devices.
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  private start(): void {
    this.state = "starting";
    const { port1, port2 } = this.channel;
    try {
      this.sockets = openThreadSockets();
      const { wakeEnds, misses, requests: netlink, frames, deaf } = this.sockets;
      this.pipe = new Socket({ fd: wakeEnds.read, readable: true, writable: false });
      this.pipe.on("data", () => this.drain());
      this.pipe.unref();
      const requests = families.flatMap((family) => families.map((vtepFamily) => requestTemplate(family, vtepFamily)));
      const data = this.ring.dataFor({
        sockets: { misses, requests: netlink, frames, deaf, wake: wakeEnds.write },
        requests,
        replies: families.map(replyTemplate),
        heatMs: this.isWarm ? heatMs : 0,
      });
      this.worker = new Worker(new URL(`${built}thread.js`, import.meta.url), {
        workerData: { data, port: port2 },
        transferList: [port2],
        resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32, stackSizeMb: 1 },
      });
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
      return;
    }
    port1.once("message", () => this.begin());
    port1.unref();
    this.worker.once("error", (error: unknown) => this.fail(error instanceof Error ? error.message : String(error)));
    this.worker.once("exit", (code) => {
      this.fail(`the thread ended with ${code}`);
      this.closeSockets();
    });
    this.worker.unref();
  }

  private begin(): void {
    const { sockets } = this;
    if (this.state !== "starting" || !sockets) return;
    this.state = "answering";
    this.misses.addSecond(sockets.missSocket);
    this.give();
    let rounds = 0;
    let still = 0;
    this.check = every(
      checkEveryMs,
      () => {
        const now = Atomics.load(this.ring.words, control.rounds);
        still = now === rounds ? still + 1 : 0;
        rounds = now;
        if (still >= maxStill) this.fail(`the thread has not moved for ${(still * checkEveryMs) / 1_000} seconds`);
        this.reap();
      },
      { inStep: true },
    );
  }

  private give(): void {
    if (this.state === "answering") this.misses.give([...this.served.values()].map(({ ifindex }) => ifindex));
  }

  private post(message: ThreadMessage): void {
    this.channel.port1.postMessage(message);
    Atomics.add(this.ring.words, control.posted, 1);
  }

  /** What the thread does not use any more. */
  private reap(): void {
    if (this.retired.length === 0) return;
    const taken = Atomics.load(this.ring.words, control.taken);
    const isOver = ({ posted }: Retired): boolean => !this.worker || ((taken - posted) | 0) >= 0;
    if (!this.retired.some(isOver)) return;
    // Its last answers count for the slot that it had.
    this.drain();
    for (const { served } of this.retired.filter(isOver)) {
      closeSocket(served.questions);
      this.freeSlots.push(served.slot);
    }
    this.retired = this.retired.filter((each) => !isOver(each));
  }

  private drain(): void {
    this.readRing();
    // Only after `woken` was cleared there: from then on the end of a miss writes a byte to the pipe.
    const misses = Atomics.load(this.ring.words, control.misses);
    const over = this.fences.filter((fence) => fence.misses !== misses);
    if (over.length === 0) return;
    this.fences = this.fences.filter((fence) => fence.misses === misses);
    // The last record of a miss is in the ring before it counts as ended.
    this.readRing();
    for (const { resolve } of over) resolve();
  }

  private readRing(): void {
    this.ring.read((each) => {
      if (each.kind === "missed") this.misses.hand(each.ip, each.ifindex);
      else {
        const vni = this.vniOf(each.ifindex);
        if (vni === undefined) return;
        const { ip, answer } = each;
        const written = { vni, ...answer.written };
        this.handlers?.onAnswer({ ...answer, miss: { kind: "l3miss", vni, ip }, written }, each.ifindex);
      }
    });
  }

  private fail(reason: string): void {
    if (this.state === "failed" || this.isClosed) return;
    this.state = "failed";
    this.reason = reason;
    this.end();
    if (!this.worker) this.closeSockets();
    this.handlers?.onFailure(reason);
  }

  /** The main thread reads everything that the thread has not. */
  private end(): void {
    this.check?.stop();
    Atomics.store(this.ring.words, control.stop, 1);
    if (!this.sockets) return;
    this.misses.dropSecond();
    this.drain();
    if (!this.isClosed) for (const datagram of unreadMisses(this.sockets)) this.misses.dispatch(datagram);
    for (const { resolve } of this.fences) resolve();
    this.fences = [];
  }

  /** The thread has ended: nothing else reads from them. */
  private closeSockets(): void {
    const { sockets } = this;
    this.sockets = undefined;
    this.pipe?.destroy();
    if (sockets) closeThreadSockets(sockets);
    for (const { questions } of [...this.served.values(), ...this.retired.map(({ served }) => served)])
      closeSocket(questions);
    this.served.clear();
    this.retired = [];
  }
}
