// The agent: reads misses, queries the controller, writes answers to the kernel, and reconciles everything at the begin of a
// session. The kernel, the core and the link to the controller, and the order in which they start and stop.
import type { Logger } from "pino";
import { Slices } from "../common/cooperative.ts";
import { every, type Repetition } from "../common/every.ts";
import { Heat } from "../common/heat.ts";
import type { Vni, VtepAddress } from "../schema/address/index.ts";
import { ControllerLink } from "./controller-link/link.ts";
import { Uplink } from "./controller-link/uplink.ts";
import { type Clock, type Core, createCore } from "./core.ts";
import { type GuardOptions, HostGuards } from "./guards.ts";
import { controllerReader } from "./identity/read.ts";
import type { Renewal } from "./identity/renewal.ts";
import { openMadeUpQuestions } from "./made-up-questions.ts";
import type { MetricsSources } from "./metrics/metrics.ts";
import { type Kernel, type KernelOptions, openKernel } from "./open-kernel.ts";
import type { StatusSources } from "./status/sources.ts";
import type { Caps } from "./tables/ageing.ts";
import type { Entry } from "./tables/entry.ts";
import { startWatchers, type Watchers } from "./watchers.ts";

export interface AgentOptions extends KernelOptions, GuardOptions {
  readonly controller: URL;
  /** Credentials for its connections. Absent: plain HTTP. */
  readonly renewal?: Renewal;
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** This host's own address of its tunnel end, behind address translation. Absent: the registered one. */
  readonly localVtep?: VtepAddress;
  /** Entries without traffic for this time are evicted; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
  /** Of whole networks in memory, together. */
  readonly maxReplicaBytes: number;
  /** Infinity: they answer without a session as long as there is none. */
  readonly maxStaleMs: number;
  /** That the broadcasts of one guest port may become. */
  readonly copiesPerSecond: number;
  /** Directory in which this host's networks are kept for a start without a controller; absent: none are. */
  readonly storeDirectory?: string;
}

const clock: Clock = {
  nowMs: () => performance.now(),
  wallMs: Date.now,
  random: Math.random,
  turns: new Slices(2, true),
  afterReading: setImmediate,
  later: (ms, callback) => void setTimeout(callback, ms).unref(),
};

/** How often it is checked whether questions may come, ms. */
const heatCheckMs = 1_000;

export class Agent {
  private readonly kernel: Kernel;
  private readonly core: Core<HostGuards>;
  private readonly link: ControllerLink;
  /** Made-up misses between real ones; absent where nothing is kept warm. */
  private readonly heat: Heat | undefined;
  private heatWatch: Repetition | undefined;
  private asked = 0;
  /** Absent until the agent has started. */
  private watchers: Watchers | undefined;
  /** Entries of an earlier run in the kernel. */
  private inherited: readonly Entry[] = [];

  constructor(
    private readonly options: AgentOptions,
    private readonly log: Logger,
  ) {
    const { controller, renewal, storeDirectory: directory } = options;
    const kernel = openKernel(options);
    const failed = (error: unknown) => log.warn({ err: error }, "the way of questions is not kept warm");
    const uplink = new Uplink();
    this.core = createCore({
      ...options,
      kernel,
      uplink,
      clock,
      ...(directory === undefined ? {} : { store: { directory } }),
      openGuards: (parts) => new HostGuards(kernel, options, parts),
      trust: (frame) => renewal?.onTrust(frame),
      log,
    });
    this.kernel = kernel;
    this.link = new ControllerLink(controller, () => renewal?.current, this.core.session, log);
    uplink.attach(this.link);
    if (options.announce && options.fastPath === "warm")
      this.heat = new Heat({ open: openMadeUpQuestions, failed, nowMs: clock.nowMs });
  }

  /** Takes over devices and entries of an earlier run, then listens and connects. */
  async start(): Promise<void> {
    const { core, kernel, log } = this;
    await core.guards.begin();
    const takenOver = await this.takeOver();
    this.watchers = startWatchers(kernel, core, clock, takenOver, log);
    await kernel.devices
      .closeToHost()
      .then(() => log.info("bridges and ports are closed towards this host"))
      .catch((error: unknown) => log.error({ err: error }, "bridges not closed towards this host: retrying soon"));
    core.guards.filter.start();
    core.guards.tunnel.start();
    core.guards.tracking.start();
    await core.recall?.run(this.inherited);
    this.options.renewal?.start();
    this.link.start();
    if (this.heat) this.heatWatch = every(heatCheckMs, () => this.followHeat(), { inStep: true });
  }

  /** Stops all work. Devices and entries stay: the data path does not need the agent. */
  async stop(): Promise<void> {
    this.heatWatch?.stop();
    this.heat?.want(false);
    this.options.renewal?.stop();
    this.link.stop();
    this.watchers?.close();
    this.core.guards.close();
    await this.core.close();
    this.kernel.close();
    this.log.info({ misses: this.core.resolver.counters }, "stopped; devices and entries stay in place");
  }

  /** Questions are asked in a session, for networks that are not in memory. */
  private followHeat(): void {
    const { heat, core, link } = this;
    const { asked } = core.resolver.counters;
    if (asked !== this.asked) heat?.used(clock.nowMs());
    this.asked = asked;
    heat?.want(link.isLive && core.registered.vnis().some((vni) => !core.replicas.shared(vni)));
  }

  /** The data for `agent status` and `explain`. */
  get sources(): StatusSources {
    const { options, kernel, core, link } = this;
    // Read when asked for: metrics take the sources before the agent has started.
    const watchers = () => this.watchers;
    return {
      ...kernel,
      ...core,
      heat: this.heat,
      recent: core.outcomes.recent,
      host: options.host,
      controller: options.controller,
      readController: controllerReader(options.controller, () => options.renewal?.current),
      position: () => ({ link: link.status, ...core.progress.position }),
      drops: () => ({ misses: kernel.misses.drops(), changes: watchers()?.changes.changeDrops() ?? 0 }),
      aged: () => core.eviction.aged,
      thefts: () => watchers()?.changes.thefts ?? 0,
      macFloods: () => watchers()?.changes.macFloods ?? 0,
      guestFindings: () => watchers()?.guests.findings ?? [],
      filterProblems: () => core.guards.filter.found,
      nowMs: clock.nowMs,
    };
  }

  /** The data for `--metrics`. */
  get metrics(): MetricsSources {
    return { ...this.sources, onMiss: (listener) => this.core.outcomes.subscribe(listener) };
  }

  /** @returns networks with devices of an earlier run */
  private async takeOver(): Promise<ReadonlySet<Vni>> {
    const { devices, tables } = this.kernel;
    const vnis = await devices.takeOver();
    const entries = (await Promise.all(vnis.map((vni) => tables.list(vni)))).flat().filter(({ own }) => own);
    this.inherited = entries.map(({ entry }) => entry);
    this.core.session.inherit(this.inherited);
    this.core.broadcasts.inherit(this.inherited);
    if (vnis.length > 0) this.log.info({ networks: vnis.length, entries: entries.length }, "took over earlier entries");
    return new Set(vnis);
  }
}
