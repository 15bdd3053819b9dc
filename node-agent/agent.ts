// The agent: misses in, questions out, answers into the kernel, and the whole of it brought back in line whenever a
// session begins. Decisions are `misses/` and `tables/`; this file connects them to the kernel and the controller.
import type { Logger } from "pino";
import {
  type Answer,
  addressOf,
  type Binding,
  type BindingKey,
  chunk,
  defaultVtepPort,
  keyText,
  type MacAddress,
  parseRevision,
  protocolVersions,
  type Question,
  type Revision,
  type Vni,
  type VtepAddress,
  version,
} from "../schema/index.ts";
import { Announcer } from "./announcer.ts";
import { ControllerLink, type Frame } from "./controller-link/link.ts";
import { Releases } from "./controller-link/releases.ts";
import { Eviction } from "./eviction.ts";
import { NetworkDevices } from "./kernel/devices.ts";
import { MissSocket } from "./kernel/miss-socket.ts";
import { RequestSocket } from "./kernel/request-socket.ts";
import { KernelTables } from "./kernel/tables.ts";
import { Budget } from "./misses/budget.ts";
import { missKey } from "./misses/miss.ts";
import { RecentMisses } from "./misses/recent.ts";
import { type AskedFor, MissResolver } from "./misses/resolver.ts";
import { describeTimeline, type Timeline } from "./misses/timeline.ts";
import { HostNetworks } from "./networks.ts";
import type { StatusSources } from "./status/sources.ts";
import type { Caps } from "./tables/ageing.ts";
import type { Entry } from "./tables/entry.ts";
import { HeldAnswers } from "./tables/held.ts";
import type { Occasion } from "./tables/held-network.ts";
import { Upkeep } from "./upkeep.ts";

export interface AgentOptions {
  readonly controller: URL;
  readonly host: string;
  /** Absent: what the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Tell waiting guests what has become known, and let the way back be seeded. */
  readonly announce: boolean;
  /** Entries that no traffic has used for so long are given up; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
}

/** What an `applied` frame has room for. */
const maxProblems = 64;
const maxProblemLength = 512;

const nowMs = (): number => performance.now();

/** How far answers got. */
interface Done {
  /** Acknowledged by the kernel. */
  readonly writtenMs: number;
  /** By key: when those who waited were told, undefined where nobody did. */
  readonly announced: ReadonlyMap<string, Promise<number | undefined>>;
}

export class Agent {
  private readonly requests = new RequestSocket();
  private readonly devices = new NetworkDevices(this.requests);
  private readonly tables = new KernelTables(this.requests, this.devices.deviceOf);
  private readonly held: HeldAnswers;
  private readonly networks: HostNetworks;
  private readonly resolver: MissResolver;
  private readonly link: ControllerLink;
  private readonly announcer: Announcer | undefined;
  private misses: MissSocket | undefined;
  private upkeep: Upkeep | undefined;
  private eviction: Eviction | undefined;
  private readonly releases = new Releases(
    (frame) => this.link.send(frame),
    () => this.nextId++,
  );

  private epoch: string | undefined;
  private asOf: Revision | undefined;
  /** The kernel holds every change up to here; with another epoch it begins anew. */
  private applied = parseRevision(0);
  private readonly recent = new RecentMisses();
  /** Keys of entries that an earlier run left in the kernel: to be asked for with the first session. */
  private inherited: readonly BindingKey[] = [];
  private readonly scans = new Budget({ perSecond: 1 / 60, burst: 1 });
  private nextId = 1;

  constructor(
    private readonly options: AgentOptions,
    private readonly log: Logger,
  ) {
    this.held = new HeldAnswers(options.caps);
    this.announcer = options.announce ? new Announcer(this.requests, nowMs) : undefined;
    const { devices, tables, held, announcer } = this;
    this.networks = new HostNetworks({ devices, tables, held, announcer, log });
    this.resolver = new MissResolver({
      lookUp: (key, now) => this.held.lookUp(key, now),
      listen: (vnis) => {
        for (const vni of vnis) this.announcer?.listen(vni);
      },
      askerOf: (vni, target) => this.announcer?.askerOf(vni, target),
      ask: (questions) => this.ask(questions),
      overBudget: (vni, guest) => this.reportScan(vni, guest),
      reassert: (entries, misses) => this.reassert(entries, misses),
      afterReading: setImmediate,
      nowMs,
    });
    this.link = new ControllerLink(
      options.controller,
      {
        hello: () => ({
          protocol: protocolVersions,
          version,
          host: options.host,
          ...(options.vtep ? { vtep: options.vtep } : {}),
          vtepPort: defaultVtepPort,
          ...(options.announce ? { seeding: true } : {}),
          ...(this.epoch === undefined ? {} : { epoch: this.epoch }),
          ...(this.asOf === undefined ? {} : { asOf: this.asOf }),
        }),
        interest: () => this.interest(),
        onWelcome: (frame) => this.onWelcome(frame),
        onSnapshot: (frame) => this.onSnapshot(frame),
        onAnswers: (frame) => this.onAnswers(frame),
        onChanges: (frame) => this.onChanges(frame),
        onHeartbeat: (frame) => this.acknowledge(frame.asOf, Promise.resolve()),
        onClosed: () => this.releases.clear(),
      },
      log,
    );
  }

  /** Takes over what an earlier run left in the kernel, then listens and connects. */
  async start(): Promise<void> {
    const vnis = await this.devices.takeOver();
    const entries = (await Promise.all(vnis.map((vni) => this.tables.list(vni)))).flat().filter(({ own }) => own);
    this.inherited = entries.flatMap(({ entry }) => keyOfEntry(entry) ?? []);
    if (vnis.length > 0) this.log.info({ networks: vnis.length, entries: entries.length }, "took over earlier entries");
    this.misses = new MissSocket(this.devices.vniOf, (miss) => {
      if (miss.kind === "l3miss") this.announcer?.missed(miss.vni, miss.ip);
      this.resolver.onMiss(miss);
    });
    this.upkeep = new Upkeep({
      devices: this.devices,
      networks: this.networks,
      held: this.held,
      missDrops: () => this.misses?.drops() ?? 0,
      vtep: () => this.networks.vtep,
      log: this.log,
      nowMs,
      random: Math.random,
    });
    this.eviction = new Eviction({
      held: this.held,
      tables: this.tables,
      idleMs: this.options.idleMs,
      canAskAgain: () => this.link.isLive,
      evict: (operations, released) => {
        void this.networks.write(operations);
        this.releases.release(released);
      },
      log: this.log,
      nowMs,
      random: Math.random,
    });
    this.link.start();
  }

  /** Stops listening and answering. Devices and entries stay: the data path does not need the agent. */
  async stop(): Promise<void> {
    this.link.stop();
    this.misses?.close();
    this.upkeep?.close();
    this.eviction?.close();
    this.announcer?.close();
    await this.networks.idle;
    this.requests.close();
    this.log.info({ misses: this.resolver.counters }, "stopped; devices and entries stay in place");
  }

  /** What `agent status` and `explain` look at. */
  get sources(): StatusSources {
    const { requests, devices, tables, networks, held, resolver, announcer, recent } = this;
    const parts = { requests, devices, tables, networks, held, resolver, announcer, recent };
    return {
      ...parts,
      host: this.options.host,
      controller: this.options.controller,
      position: () => ({
        link: this.link.state,
        ...(this.epoch === undefined ? {} : { epoch: this.epoch }),
        ...(this.asOf === undefined ? {} : { asOf: this.asOf }),
        ...(this.asOf === undefined ? {} : { applied: this.applied }),
      }),
      drops: () => ({ misses: this.misses?.drops() ?? 0, changes: this.upkeep?.changeDrops() ?? 0 }),
      aged: () => this.eviction?.aged ?? 0,
      thefts: () => this.upkeep?.thefts ?? 0,
      nowMs,
    };
  }

  private interest(): BindingKey[] {
    const keys = [...this.held.keys(), ...this.resolver.unanswered(), ...this.inherited];
    return [...new Map(keys.map((key) => [keyText(key), key])).values()];
  }

  private ask(asked: readonly AskedFor[]): void {
    const questions = asked.map(({ key, asker }): Question => (asker ? { ...key, asker: asker.ip } : key));
    for (const part of chunk(questions)) this.link.send({ type: "resolve", id: this.nextId++, questions: part });
    for (const { key, asker } of asked) if (asker) this.announcer?.locate(key.vni, asker);
  }

  /** Once per guest and minute: the log is no place for a storm. */
  private reportScan(vni: Vni, guest: MacAddress | undefined): void {
    if (!this.scans.allows(`${vni} ${guest}`, nowMs())) return;
    this.scans.spend(`${vni} ${guest}`, nowMs());
    this.log.warn(
      { network: this.networks.nameOf(vni), vni, guest },
      "scan: more addresses are asked for than the budget allows, the rest is dropped",
    );
  }

  private onWelcome(frame: Frame<"welcome">): void {
    if (this.epoch !== frame.epoch) this.applied = parseRevision(0);
    this.epoch = frame.epoch;
    this.networks.setLocal({ vtep: frame.vtep, vtepPort: frame.vtepPort });
    if (this.options.vtep && this.options.vtep !== frame.vtep) {
      this.log.warn(
        { registered: frame.vtep, given: this.options.vtep },
        "the operator registered another VTEP for this host than --vtep says: the registered one is used",
      );
    }
    this.log.info({ vtep: frame.vtep, revision: frame.asOf }, "session with the controller");
  }

  /** The first complete answer: from here on this host may delete what nobody vouches for. */
  private onSnapshot(frame: Frame<"snapshot">): void {
    const timelines = this.resolver.onAnswers(frame.answers);
    const visible = new Set(frame.networks.map((network) => network.vni));
    // What is said of a network that is not ours to see says nothing: it may come into view with VMs in it.
    const answers = frame.answers.filter(({ key }) => visible.has(key.vni));
    const before = this.interest();
    this.releases.release(this.held.replace(answers, nowMs()));
    const work = this.networks.replace(frame.networks, this.epoch ?? "");
    // Entries that stay without being ours to see are asked for again by the next session, perhaps with the right store.
    this.inherited = before.filter((key) => this.networks.keeps(key.vni));
    void work.then(() => {
      this.log.info({ revision: frame.asOf, networks: this.networks.size }, "in step with the controller");
    });
    const done = work.then((): Done => ({ writtenMs: nowMs(), announced: this.announce(answers) }));
    this.report(timelines, frame.answers, nowMs(), done);
    this.acknowledge(frame.asOf, work);
  }

  /** A seed may answer what a guest here has just asked: it ends a question as an answer does. */
  private onAnswers(frame: Frame<"answers"> | Frame<"seed">): void {
    if (frame.type === "answers") this.releases.confirmed(frame.id);
    const timelines = this.resolver.onAnswers(frame.answers);
    const occasion = frame.type === "answers" ? "asked" : "told";
    this.report(timelines, frame.answers, nowMs(), this.take(frame.answers, occasion));
    if (frame.type !== "seed") return;
    for (const { key, binding } of frame.answers) {
      const { vni } = key;
      this.log.debug({ network: this.networks.nameOf(vni), vni, key: addressOf(key), vtep: binding?.vtep }, "seeded");
    }
  }

  private onChanges(frame: Frame<"changes">): void {
    const timelines = this.resolver.onAnswers(frame.answers);
    const startMs = nowMs();
    for (const { vni } of frame.networks) if (!this.networks.nameOf(vni)) this.held.forgetNetwork(vni);
    // Entries of standing devices at once; what is set up below starts from everything that is held by then.
    const written = this.take(frame.answers, "told");
    this.report(timelines, frame.answers, startMs, written);
    for (const vni of frame.gone) this.held.forgetNetwork(vni);
    const changed = this.networks.change(frame.networks, frame.gone, frame.self);
    for (const { key, binding, revision } of frame.answers) {
      this.log.debug({ revision, vni: key.vni, key: addressOf(key), vtep: binding?.vtep ?? null }, "change applied");
    }
    this.acknowledge(frame.asOf, Promise.all([written, changed]));
  }

  /** Into memory and into the kernel; then to the guests that wait, or that hold an older MAC. */
  private async take(answers: readonly Answer[], occasion: Occasion): Promise<Done> {
    const { operations, released, taken, changedMacs } = this.held.take(this.releases.pass(answers), nowMs(), occasion);
    const written = this.networks.write(operations);
    this.releases.release(released);
    if (this.held.isCrowded()) this.eviction?.hurry();
    await written;
    const writtenMs = nowMs();
    const announced = this.announce(taken);
    for (const { vni, ...known } of changedMacs) void this.announcer?.announce(vni, known);
    return { writtenMs, announced };
  }

  private announce(answers: readonly Answer[]): Done["announced"] {
    const announced = new Map<string, Promise<number | undefined>>();
    if (!this.announcer) return announced;
    for (const { key, binding } of answers) {
      if (key.kind !== "ip" || !binding || binding.local) continue;
      const known = { ip: key.ip, mac: binding.mac, router: binding.router ?? false };
      announced.set(keyText(key), this.announcer.answer(key.vni, known));
    }
    return announced;
  }

  /** Held, but missed all the same: the kernel has lost it. */
  private reassert(entries: readonly Entry[], misses: readonly Timeline[]): void {
    void this.networks.write(entries.map((entry) => ({ verb: "put", entry }))).then(() => {
      const programmedMs = nowMs();
      const routers = new Set(entries.flatMap((entry) => (entry.kind === "tunnel" && entry.router ? entry.mac : [])));
      for (const entry of entries) {
        if (entry.kind !== "neighbour") continue;
        void this.announcer?.answer(entry.vni, { ip: entry.ip, mac: entry.mac, router: routers.has(entry.mac) });
      }
      for (const miss of misses) this.recent.push({ ...miss, outcome: "from memory", programmedMs });
    });
  }

  /**
   * Tells the controller that the kernel is at `asOf`, once it is: what is unsettled is tried again first. As long as the
   * kernel refuses, the revision stays where it was, and the problems say why.
   */
  private acknowledge(asOf: Revision, work: Promise<unknown>): void {
    this.asOf = asOf;
    void work
      .then(() => this.networks.retry())
      .then(() => {
        if (this.networks.settled) this.applied = asOf;
        const problems = this.networks.problems.slice(0, maxProblems).map((text) => text.slice(0, maxProblemLength));
        this.link.send({ type: "applied", revision: this.applied, problems });
      });
  }

  private report(
    timelines: readonly Timeline[],
    answers: readonly Answer[],
    startMs: number,
    done: Promise<Done>,
  ): void {
    if (timelines.length === 0) return;
    const bindings = new Map(answers.map((answer) => [keyText(answer.key), answer.binding]));
    for (const timeline of timelines) {
      void this.finish(timeline, bindings.get(keyText(missKey(timeline.miss))) ?? undefined, startMs, done);
    }
  }

  /** Keeps what became of a miss, and logs it. */
  private async finish(
    timeline: Timeline,
    binding: Binding | undefined,
    startMs: number,
    done: Promise<Done>,
  ): Promise<void> {
    const key = missKey(timeline.miss);
    const { writtenMs, announced } = await done;
    const announcedMs = await announced.get(keyText(key));
    this.recent.push({
      ...timeline,
      outcome: binding ? "answered" : "unknown",
      ...(binding ? { programmedMs: writtenMs, mac: binding.mac, vtep: binding.vtep } : {}),
      ...(announcedMs === undefined ? {} : { announcedMs }),
    });
    if (!this.log.isLevelEnabled("debug")) return;
    const network = this.networks.nameOf(key.vni);
    const fields = { network, ...describeTimeline(timeline, startMs, writtenMs, announcedMs) };
    if (binding) this.log.debug({ ...fields, mac: binding.mac, vtep: binding.vtep }, "miss answered");
    else this.log.debug(fields, "miss unknown");
  }
}

/** The question whose answer vouches for an entry; a bridge entry goes with the tunnel entry beside it. */
function keyOfEntry(entry: Entry): BindingKey | undefined {
  if (entry.kind === "neighbour") return { kind: "ip", vni: entry.vni, ip: entry.ip };
  if (entry.kind === "tunnel") return { kind: "mac", vni: entry.vni, mac: entry.mac };
  return undefined;
}
