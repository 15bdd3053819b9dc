// One host's agent without sockets: its core on tables and devices in memory. When anything takes effect or comes back is up to a
// scheduler.
import type fc from "fast-check";
import { SerialQueue } from "../../common/serial-queue.ts";
import { type Channel, Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Clock, Core, KernelEdges } from "../../node-agent/core.ts";
import type { GuestEdge } from "../../node-agent/kernel/sockets/guest-sockets.ts";
import type { ThreadAnswer } from "../../node-agent/misses/miss.ts";
import type { MissCounters } from "../../node-agent/misses/resolver.ts";
import type { Heard, WaitingGuest } from "../../node-agent/misses/waiting.ts";
import type { FrameHandler } from "../../node-agent/session/frame-handler.ts";
import type { Caps } from "../../node-agent/tables/ageing.ts";
import {
  type ActualEntry,
  type Entry,
  type Hiding,
  nothingHidden,
  type Operation,
  type OperationResult,
  type Tables,
} from "../../node-agent/tables/entry.ts";
import type { HeldAnswers } from "../../node-agent/tables/held.ts";
import { type RemoteWords, readRemote } from "../../node-agent/tables/replica-rows.ts";
import type { AnsweringTable, Replicas } from "../../node-agent/tables/replicas.ts";
import {
  type BindingKey,
  familyOf,
  findIp,
  findMac,
  type IpAddress,
  ipToWords,
  type MacAddress,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
  type Vni,
  type VtepAddress,
  wordsToIp,
  wordsToMac,
} from "../../schema/address/index.ts";
import { coreOn, inertEdges } from "../../testkit/agent-core.ts";
import { etherTypes } from "../../testkit/lab/frames.ts";
import { FakeTables } from "./fake-tables.ts";

/** The state that outlives an agent: its host's devices and their tables. */
export class ScheduledKernel implements Tables {
  readonly epochs = new Map<Vni, string>();
  /** Every neighbour that was ever written. */
  readonly neighbours = new Set<string>();
  private readonly tables: FakeTables;
  /** The kernel carries out writes in the order in which they were sent. */
  private readonly writes = new SerialQueue("stop");

  constructor(private readonly scheduler: fc.Scheduler) {
    this.tables = new FakeTables({ has: (vni: Vni) => this.epochs.has(vni) } as ReadonlySet<Vni>);
  }

  /**
   * @param isWanted false by then: the agent that began it is dead. The kernel writes within a system call, so never
   * after that
   */
  apply(operations: readonly Operation[], isWanted: () => boolean = () => true): Promise<OperationResult[]> {
    const written = this.writes.run(async () => {
      await this.soon("write");
      if (!isWanted()) return [];
      for (const { entry } of operations) if (entry.kind === "neighbour") this.neighbours.add(neighbourText(entry));
      return this.tables.apply(operations);
    });
    return written.then(async (results) => {
      await this.soon("acknowledgement");
      return results;
    });
  }

  /** Like the kernel's dumps: after earlier writes, neighbours and FDB one after the other, and stale on arrival. */
  async list(vni: Vni): Promise<ActualEntry[]> {
    await this.writes.idle;
    await this.soon("dump of neighbours");
    const neighbours = await this.tables.list(vni);
    await this.soon("dump of the FDB");
    const fdb = await this.tables.list(vni);
    await this.soon("end of the dump");
    return [
      ...neighbours.filter(({ entry }) => entry.kind === "neighbour"),
      ...fdb.filter(({ entry }) => entry.kind !== "neighbour"),
    ];
  }

  hiding(): Hiding {
    return nothingHidden;
  }

  /** No guest has used anything for a day. */
  async idleMs(vni: Vni): Promise<ReadonlyMap<MacAddress, number>> {
    await this.soon("dump of ages");
    const day = 24 * 3_600_000;
    return new Map([...(await this.tables.idleMs(vni)).keys()].map((mac) => [mac, day]));
  }

  /** A foreign change, at once. */
  putForeign(entry: Entry): void {
    this.tables.putForeign(entry);
  }

  /** The present entries. */
  present(vni: Vni): Promise<ActualEntry[]> {
    return this.tables.list(vni);
  }

  presentNow(vni: Vni): readonly ActualEntry[] {
    return this.tables.present(vni);
  }

  async remove(vni: Vni): Promise<void> {
    const entries = await this.tables.list(vni);
    await this.tables.apply(entries.map(({ entry }): Operation => ({ verb: "delete", entry })));
    this.epochs.delete(vni);
  }

  soon(label: string): Promise<void> {
    return this.scheduler.schedule(Promise.resolve(), label);
  }
}

const neighbourText = ({ vni, ip, mac }: { vni: Vni; ip: IpAddress; mac: MacAddress }): string => `${vni} ${ip} ${mac}`;

/** The guests of one run of the agent: all ask from one port of each network. */
class ScheduledGuests implements GuestEdge {
  /** What guests were told although the kernel never had it. */
  readonly untrue: string[] = [];
  told = 0;
  private readonly heard = new Map<number, Heard[]>();

  constructor(private readonly kernel: ScheduledKernel) {}

  readonly sender = {
    send: (frame: Buffer, port: number): boolean => {
      this.told += 1;
      const text = neighbourText({ vni: parseVni(port), ...readTold(frame) });
      if (!this.kernel.neighbours.has(text)) this.untrue.push(text);
      return true;
    },
    close: () => {},
  };

  /** A guest asks for an address on its network's bridge. */
  ask(vni: Vni, target: IpAddress): void {
    const { bridgeIfindex } = deviceOf(vni);
    const asker = askerFor(target);
    this.heard.set(bridgeIfindex, [...(this.heard.get(bridgeIfindex) ?? []), { asker, claim: asker, target }]);
  }

  hear(bridgeIfindex: number): ReturnType<GuestEdge["hear"]> {
    const drain = (): Heard[] => {
      const heard = this.heard.get(bridgeIfindex) ?? [];
      this.heard.delete(bridgeIfindex);
      return heard;
    };
    return { bridgeIfindex, drain, ignore: () => {}, close: () => {} };
  }

  portsOf(_: number, vni: number): ReturnType<GuestEdge["portsOf"]> {
    return { portOf: async () => vni, all: async () => [vni] };
  }
}

/** Who asks for an address, with its own of the same family. */
function askerFor(target: IpAddress): WaitingGuest {
  return { mac: parseMac("52:54:00:00:00:01"), ip: parseIp(familyOf(target) === 4 ? "10.0.0.1" : "fd00::1") };
}

/** Of an ARP message, or of a neighbour advertisement. */
function readTold(frame: Buffer): { ip: IpAddress; mac: MacAddress } {
  const [ipAt, macAt] = frame.readUInt16BE(12) === etherTypes.arp ? [28, 22] : [62, 80];
  const ip = findIp(frame.subarray(ipAt, ipAt === 28 ? ipAt + 4 : ipAt + 16));
  const mac = findMac(frame.subarray(macAt, macAt + 6));
  if (!ip || !mac) throw new Error(`neither an ARP message nor an advertisement: ${frame.toString("hex")}`);
  return { ip, mac };
}

/**
 * The thread for networks in memory, with the look-up of the real one: what it reads, when it is in the kernel, and when the main thread hears of it
 * are three moments. The first two of a miss never overlap those of the next.
 */
class ScheduledThread implements NonNullable<KernelEdges["missThread"]> {
  /** Answers of which the main thread has heard. */
  answers = 0;
  private readonly tables = new Map<Vni, AnsweringTable>();
  private readonly allowed = new Map<Vni, number>();
  private readonly records: (() => void)[] = [];
  private readonly misses = new SerialQueue();

  /** @param inform the main thread */
  constructor(
    private readonly kernel: ScheduledKernel,
    private readonly inform: (answer: ThreadAnswer) => void,
    private readonly handOver: (vni: Vni, ip: IpAddress) => void,
    private readonly isAlive: () => boolean,
  ) {}

  get servedCount(): number {
    return this.tables.size;
  }

  serve(vni: Vni, _: unknown, table: AnsweringTable): void {
    this.tables.set(vni, table);
  }

  leave(vni: Vni): void {
    this.tables.delete(vni);
  }

  allow(vni: Vni, count: number): void {
    this.allowed.set(vni, count);
  }

  /** Everything that was begun is heard of. */
  async fence(): Promise<void> {
    await this.misses.idle;
    this.hear();
  }

  serves(vni: Vni): boolean {
    return this.tables.has(vni);
  }

  miss(vni: Vni, ip: IpAddress): void {
    void this.misses.run(async () => {
      await this.kernel.soon("thread reads the table");
      const table = this.tables.get(vni)?.table;
      const words: RemoteWords = {
        macHigh: 0,
        macLow: 0,
        router: false,
        vtep: new Uint32Array(4),
        vtepPort: 0,
        revisionHigh: 0,
        revisionLow: 0,
      };
      const left = this.allowed.get(vni) ?? 0;
      if (!table || left === 0 || !readRemote(table, ipToWords(ip), words)) {
        this.record(() => this.handOver(vni, ip));
        return;
      }
      this.allowed.set(vni, left - 1);
      const mac = wordsToMac(words.macHigh, words.macLow);
      const [a = 0, b = 0, c = 0, d = 0] = words.vtep;
      const vtep = wordsToIp(a, b, c, d) as VtepAddress;
      const written = {
        vni,
        ip,
        mac,
        vtep,
        vtepPort: words.vtepPort,
        ...(words.router ? { router: true as const } : {}),
      };
      const entries: Entry[] = [
        { kind: "tunnel", vni, mac, vtep, vtepPort: words.vtepPort, ...(words.router ? { router: true } : {}) },
        { kind: "bridge", vni, mac },
        { kind: "neighbour", vni, ip, mac },
      ];
      await this.kernel.soon("thread writes");
      await this.kernel.apply(
        entries.map((entry) => ({ verb: "put", entry })),
        this.isAlive,
      );
      const answer: ThreadAnswer = {
        miss: { kind: "l3miss", vni, ip },
        missedMs: 0,
        writtenMs: 0,
        repliedMs: 1,
        asker: askerFor(ip),
        written,
        revision: parseRevision(words.revisionHigh * 2 ** 32 + words.revisionLow),
      };
      this.record(() => {
        this.answers += 1;
        this.inform(answer);
      });
    });
  }

  private record(act: () => void): void {
    this.records.push(act);
    void this.kernel.soon("record of the thread").then(() => this.hear());
  }

  /** In their order. */
  private hear(): void {
    for (const act of this.records.splice(0)) if (this.isAlive()) act();
  }
}

const deviceOf = (vni: Vni) => ({ ifindex: vni, bridgeIfindex: vni + 1, vni, vtepPort: 4789 });

/** So few that answers evict others. */
const fewCaps: Caps = { perNetwork: 5, perHost: 8 };

/** One run of the agent, until it is killed: from then on nothing of it reaches the kernel or the controller. */
export class ScheduledAgent {
  readonly guests: ScheduledGuests;
  readonly thread: ScheduledThread;
  private readonly core: Core;
  private alive = true;
  private nowMs = 0;

  /** @param channel to the controller */
  constructor(
    host: string,
    private readonly kernel: ScheduledKernel,
    channel: Channel,
    caps = fewCaps,
  ) {
    const uplink = new Uplink();
    const isAlive = (): boolean => this.alive;
    uplink.attach({
      get isLive() {
        return isAlive() && channel.isLive;
      },
      send: (frame) => isAlive() && channel.send(frame),
    });
    this.guests = new ScheduledGuests(kernel);
    this.thread = new ScheduledThread(
      kernel,
      (answer) => this.core.resolver.onThreadAnswer(answer),
      (vni, ip) => this.core.resolver.onMiss({ kind: "l3miss", vni, ip }),
      isAlive,
    );
    const clock: Clock = {
      nowMs: () => this.nowMs,
      wallMs: () => this.nowMs,
      random: () => 0.5,
      // Anything may happen between any two entries of a comparison.
      turns: { over: true, next: () => kernel.soon("turn") },
      afterReading: (callback) => void kernel.soon("misses read").then(() => this.alive && callback()),
      later: (_, callback) => void kernel.soon("usage").then(() => this.alive && callback()),
    };
    const vtep = parseVtep("192.0.2.1");
    this.core = coreOn(this.edges(), { host, vtep, idleMs: 60_000, caps, uplink, clock });
  }

  get replicas(): Replicas {
    return this.core.replicas;
  }

  get held(): HeldAnswers {
    return this.core.held;
  }

  get session(): FrameHandler {
    return this.core.session;
  }

  get counters(): MissCounters {
    return this.core.resolver.counters;
  }

  /** How many addresses it gave up as idle. */
  get evicted(): number {
    return this.core.eviction.aged;
  }

  /** Takes over the entries of an earlier run. */
  async start(): Promise<void> {
    const present = await Promise.all([...this.kernel.epochs.keys()].map((vni) => this.kernel.present(vni)));
    this.core.session.inherit(present.flat().flatMap(({ entry, own }) => (own ? entry : [])));
  }

  /** A guest's frame raised a miss. A minute after the last, so that nothing is quiet. */
  miss(key: BindingKey): void {
    this.nowMs += 60_000;
    const { vni } = key;
    if (key.kind === "ip") this.guests.ask(vni, key.ip);
    if (key.kind === "ip" && this.thread.serves(vni)) {
      this.thread.miss(vni, key.ip);
      return;
    }
    this.core.resolver.onMiss(
      key.kind === "ip" ? { kind: "l3miss", vni, ip: key.ip } : { kind: "l2miss", vni, mac: key.mac },
    );
  }

  /** Reads ages, and evicts what is idle. */
  evict(): void {
    this.nowMs += 60_000;
    this.core.eviction.hurry();
  }

  kill(): void {
    this.alive = false;
    void this.core.close();
  }

  /** What a dead process has begun is carried out before its death or not at all; it learns of nothing. */
  private edges(): KernelEdges {
    const { kernel } = this;
    const never = new Promise<never>(() => {});
    return {
      ...inertEdges,
      tables: {
        apply: (operations) =>
          kernel.apply(operations, () => this.alive).then((results) => (this.alive ? results : never)),
        hiding: () => kernel.hiding(),
        list: (vni) => kernel.list(vni).then((entries) => (this.alive ? entries : never)),
        idleMs: (vni) => kernel.idleMs(vni).then((ages) => (this.alive ? ages : never)),
      },
      devices: this.devices(),
      guests: this.guests,
      missThread: this.thread,
    };
  }

  private devices(): KernelEdges["devices"] {
    const { kernel } = this;
    return {
      ...inertEdges.devices,
      deviceOf: (vni) => (kernel.epochs.has(vni) ? deviceOf(vni) : undefined),
      vnis: () => [...kernel.epochs.keys()],
      epochOf: (vni) => kernel.epochs.get(vni),
      ensure: async ({ vni }, _, epoch) => {
        await kernel.soon("devices made");
        if (!this.alive) return new Promise<never>(() => {});
        kernel.epochs.set(vni, epoch);
        return [];
      },
      remove: async (vni) => {
        await kernel.soon("devices removed");
        if (this.alive) await kernel.remove(vni);
      },
    };
  }
}
