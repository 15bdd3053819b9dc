// The agent: misses in, questions out, answers into the kernel, and the whole of it brought back in line whenever a
// session begins. Decisions are `misses/` and `tables/`; this file connects them to the kernel and the controller.
import type { Logger } from "pino";
import {
  type AgentNetwork,
  type Answer,
  addressOf,
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
import { bridgeName, DeviceError, type LocalVtep, NetworkDevices, vxlanName } from "./kernel/devices.ts";
import { MissSocket } from "./kernel/miss-socket.ts";
import { NetlinkError, RequestSocket } from "./kernel/request-socket.ts";
import { KernelTables } from "./kernel/tables.ts";
import { Budget } from "./misses/budget.ts";
import { missKey } from "./misses/miss.ts";
import { type AskedFor, MissResolver } from "./misses/resolver.ts";
import { describeTimeline, type Timeline } from "./misses/timeline.ts";
import { type Entry, entryKey, type Operation, type OperationResult } from "./tables/entry.ts";
import { HeldAnswers } from "./tables/held.ts";
import { byKey, plan } from "./tables/plan.ts";

export interface AgentOptions {
  readonly controller: URL;
  readonly host: string;
  /** Absent: what the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Tell waiting guests what has become known, and let the way back be seeded. */
  readonly announce: boolean;
}

const nowMs = (): number => performance.now();

export class Agent {
  private readonly requests = new RequestSocket();
  private readonly devices = new NetworkDevices(this.requests);
  private readonly tables = new KernelTables(this.requests, this.devices.deviceOf);
  private readonly held = new HeldAnswers();
  private readonly resolver: MissResolver;
  private readonly link: ControllerLink;
  private readonly announcer: Announcer | undefined;
  private misses: MissSocket | undefined;

  private local: LocalVtep | undefined;
  private epoch: string | undefined;
  private asOf: Revision | undefined;
  /** Networks with a VM on this host, as the controller last said. */
  private readonly networks = new Map<Vni, AgentNetwork>();
  /** Keys of entries that an earlier run left in the kernel: to be asked for with the first session. */
  private inherited: readonly BindingKey[] = [];
  /** What an operator should mend, by network. */
  private readonly problems = new Map<Vni, readonly string[]>();
  /** Networks whose kernel state is not known to be right: brought in line at the next heartbeat. */
  private readonly unsettled = new Set<Vni>();
  /** Work on devices runs one after the other; entries of standing devices need not wait for it. */
  private deviceWork: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: AgentOptions,
    private readonly log: Logger,
  ) {
    this.announcer = options.announce ? new Announcer(this.requests, nowMs) : undefined;
    this.resolver = new MissResolver({
      lookUp: (key, now) => this.held.lookUp(key, now),
      listen: (vnis) => {
        for (const vni of vnis) this.announcer?.listen(vni);
      },
      askerOf: (vni, target) => this.announcer?.askerOf(vni, target),
      ask: (questions) => this.ask(questions),
      overBudget: (vni, guest) => this.reportScan(vni, guest),
      reassert: (entries) => this.reassert(entries),
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
        onClosed: () => {},
      },
      log,
    );
  }

  /** Takes over what an earlier run left in the kernel, then listens and connects. */
  async start(): Promise<void> {
    const vnis = await this.devices.takeOver();
    const entries = (await Promise.all(vnis.map((vni) => this.tables.list(vni)))).flat();
    this.inherited = entries.flatMap((entry) => keyOfEntry(entry) ?? []);
    if (vnis.length > 0) this.log.info({ networks: vnis.length, entries: entries.length }, "took over earlier entries");
    this.misses = new MissSocket(this.devices.vniOf, (miss) => {
      if (miss.kind === "l3miss") this.announcer?.missed(miss.vni, miss.ip);
      this.resolver.onMiss(miss);
    });
    this.link.start();
  }

  /** Stops listening and answering. Devices and entries stay: the data path does not need the agent. */
  async stop(): Promise<void> {
    this.link.stop();
    this.misses?.close();
    this.announcer?.close();
    await this.deviceWork;
    this.requests.close();
    this.log.info({ misses: this.resolver.counters }, "stopped; devices and entries stay in place");
  }

  private interest(): BindingKey[] {
    const keys = [...this.held.keys(), ...this.resolver.unanswered(), ...this.inherited];
    return [...new Map(keys.map((key) => [keyText(key), key])).values()];
  }

  private ask(asked: readonly AskedFor[]): void {
    const questions = asked.map(({ key, asker }): Question => (asker ? { ...key, asker: asker.ip } : key));
    for (const part of chunk(questions)) this.link.send({ type: "resolve", id: this.nextId++, questions: part });
  }
  private nextId = 1;

  /** Once per guest and minute: the log is no place for a storm. */
  private reportScan(vni: Vni, guest: MacAddress | undefined): void {
    if (!this.scans.allows(`${vni} ${guest}`, nowMs())) return;
    this.scans.spend(`${vni} ${guest}`, nowMs());
    const network = this.networks.get(vni)?.name;
    this.log.warn(
      { network, vni, guest },
      "scan: more addresses are asked for than the budget allows, the rest is dropped",
    );
  }
  private readonly scans = new Budget({ perSecond: 1 / 60, burst: 1 });

  private onWelcome(frame: Frame<"welcome">): void {
    this.epoch = frame.epoch;
    this.local = { vtep: frame.vtep, vtepPort: frame.vtepPort };
    if (this.options.vtep && this.options.vtep !== frame.vtep) {
      this.log.warn(
        { registered: frame.vtep, given: this.options.vtep },
        "the operator registered another VTEP for this host than --vtep says: the registered one is used",
      );
    }
    this.log.info({ host: frame.host, vtep: frame.vtep, revision: frame.asOf }, "session with the controller");
  }

  /** The first complete answer: from here on this host may delete what nobody vouches for. */
  private onSnapshot(frame: Frame<"snapshot">): void {
    const timelines = this.resolver.onAnswers(frame.answers);
    this.held.replace(frame.answers, nowMs());
    this.inherited = [];
    this.networks.clear();
    for (const network of frame.networks) this.networks.set(network.vni, network);
    const gone = this.devices.vnis().filter((vni) => !this.networks.has(vni));
    const work = this.onDevices(async () => {
      for (const vni of gone) await this.removeNetwork(vni);
      for (const network of frame.networks) await this.settle(network.vni);
      this.log.info({ revision: frame.asOf, networks: this.networks.size }, "in step with the controller");
    });
    const writtenMs = work.then(nowMs);
    void writtenMs.then(() => this.announce(frame.answers));
    this.report(timelines, frame.answers, writtenMs, writtenMs);
    this.acknowledge(frame.asOf, work);
  }

  /** A seed may answer what a guest here has just asked: it ends a question as an answer does. */
  private onAnswers(frame: Frame<"answers"> | Frame<"seed">): void {
    const timelines = this.resolver.onAnswers(frame.answers);
    const startMs = Promise.resolve(nowMs());
    const written = this.take(frame.answers);
    this.report(timelines, frame.answers, startMs, written.then(nowMs));
  }

  private onChanges(frame: Frame<"changes">): void {
    const timelines = this.resolver.onAnswers(frame.answers);
    const startMs = Promise.resolve(nowMs());
    for (const network of frame.networks) this.networks.set(network.vni, network);
    // Entries of standing devices at once; what is set up below starts from everything that is held by then.
    const written = this.take(frame.answers);
    for (const vni of frame.gone) {
      this.networks.delete(vni);
      this.held.forgetNetwork(vni);
    }
    this.report(timelines, frame.answers, startMs, written.then(nowMs));
    const { self } = frame;
    if (self) this.local = self;
    const touched = self ? [...this.networks.keys()] : frame.networks.map((network) => network.vni);
    const work =
      touched.length === 0 && frame.gone.length === 0
        ? written
        : this.onDevices(async () => {
            await written;
            for (const vni of frame.gone) await this.removeNetwork(vni);
            for (const vni of touched) await this.settle(vni);
          });
    for (const { key, binding, revision } of frame.answers) {
      this.log.debug({ revision, vni: key.vni, key: addressOf(key), vtep: binding?.vtep ?? null }, "change applied");
    }
    this.acknowledge(frame.asOf, work);
  }

  /** Into memory and into the kernel; then to the guests that wait, or that hold an older MAC. */
  private take(answers: readonly Answer[]): Promise<unknown> {
    const { operations, changedMacs } = this.held.take(answers, nowMs());
    const written = this.write(operations);
    void written.then(() => {
      this.announce(answers);
      for (const { vni, ...known } of changedMacs) this.announcer?.announce(vni, known);
    });
    return written;
  }

  private announce(answers: readonly Answer[]): void {
    for (const { key, binding } of answers) {
      if (key.kind !== "ip" || !binding || binding.local) continue;
      this.announcer?.answer(key.vni, { ip: key.ip, mac: binding.mac, router: binding.router ?? false });
    }
  }

  /** Held, but missed all the same: the kernel has lost it. */
  private reassert(entries: readonly Entry[]): void {
    void this.write(entries.map((entry) => ({ verb: "put", entry }))).then(() => {
      for (const entry of entries) {
        if (entry.kind === "neighbour")
          this.announcer?.answer(entry.vni, { ip: entry.ip, mac: entry.mac, router: false });
      }
    });
  }

  /** Tells the controller that the kernel is at `asOf`, once it is: what is unsettled is tried again first. */
  private acknowledge(asOf: Revision, work: Promise<unknown>): void {
    this.asOf = asOf;
    void work
      .then(() => this.onDevices(() => this.settleAll([...this.unsettled])))
      .then(() => {
        if (this.unsettled.size > 0) return;
        this.link.send({
          type: "applied",
          revision: parseRevision(asOf),
          problems: [...this.problems.values()].flat(),
        });
      });
  }

  private async settleAll(vnis: readonly Vni[]): Promise<void> {
    for (const vni of vnis) await this.settle(vni);
  }

  private onDevices(work: () => Promise<void>): Promise<void> {
    this.deviceWork = this.deviceWork.then(work);
    return this.deviceWork;
  }

  /** Devices as they must be, then entries as they are held. Failure is a problem to report, and is tried again. */
  private async settle(vni: Vni): Promise<void> {
    const network = this.networks.get(vni);
    if (!network || !this.local) {
      this.unsettled.delete(vni);
      return;
    }
    const isNew = this.devices.deviceOf(vni) === undefined;
    try {
      const warnings = await this.devices.ensure(network, this.local);
      const device = this.devices.deviceOf(vni);
      if (device) this.announcer?.attend(vni, device.bridgeIfindex, device.ifindex);
      await this.reconcile(vni);
      this.problems.set(vni, warnings);
      for (const warning of warnings) this.log.warn({ network: network.name, vni }, warning);
      if (isNew) {
        const fields = { network: network.name, vni, bridge: bridgeName(vni), vxlan: vxlanName(vni) };
        this.log.info(fields, "network ready");
      }
    } catch (error) {
      if (!(error instanceof DeviceError) && !(error instanceof NetlinkError)) throw error;
      this.unsettled.add(vni);
      this.problems.set(vni, [`network ${network.name}: ${error.message}`]);
      this.log.error({ network: network.name, vni, reason: error.message }, "network not ready");
    }
  }

  private async removeNetwork(vni: Vni): Promise<void> {
    // It may have come back while this work waited.
    if (this.networks.has(vni)) return;
    this.problems.delete(vni);
    this.unsettled.delete(vni);
    this.announcer?.leave(vni);
    try {
      await this.devices.remove(vni);
      this.log.info({ vni }, "network removed: its last VM left this host");
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.log.error({ vni, reason: error.message }, "network not removed");
    }
  }

  /** Actual to desired, from a fresh dump. */
  private async reconcile(vni: Vni): Promise<void> {
    const actual = byKey(await this.tables.list(vni));
    this.unsettled.delete(vni);
    await this.write(plan(this.held.desired(vni), actual));
  }

  /** Sends operations to the kernel now; what it refuses leaves its network unsettled. */
  private async write(operations: readonly Operation[]): Promise<OperationResult[]> {
    const placed = operations.filter(({ entry }) => this.devices.deviceOf(entry.vni) !== undefined);
    const results = await this.tables.apply(placed);
    for (const result of results) {
      if (result.ok) continue;
      const { verb, entry } = result.operation;
      this.unsettled.add(entry.vni);
      this.log.warn({ vni: entry.vni, verb, entry: entryKey(entry), reason: result.reason }, "the kernel refused");
    }
    return results;
  }

  private report(
    timelines: readonly Timeline[],
    answers: readonly Answer[],
    startMs: Promise<number>,
    writtenMs: Promise<number>,
  ): void {
    if (timelines.length === 0 || !this.log.isLevelEnabled("debug")) return;
    const bindings = new Map(answers.map((answer) => [keyText(answer.key), answer.binding]));
    void Promise.all([startMs, writtenMs]).then(([start, written]) => {
      for (const timeline of timelines) {
        const key = missKey(timeline.miss);
        const fields = { network: this.networks.get(key.vni)?.name, ...describeTimeline(timeline, start, written) };
        const binding = bindings.get(keyText(key));
        if (binding) this.log.debug({ ...fields, mac: binding.mac, vtep: binding.vtep }, "miss answered");
        else this.log.debug(fields, "miss unknown");
      }
    });
  }
}

/** The question whose answer vouches for an entry; a bridge entry goes with the tunnel entry beside it. */
function keyOfEntry(entry: Entry): BindingKey | undefined {
  if (entry.kind === "neighbour") return { kind: "ip", vni: entry.vni, ip: entry.ip };
  if (entry.kind === "tunnel") return { kind: "mac", vni: entry.vni, mac: entry.mac };
  return undefined;
}
