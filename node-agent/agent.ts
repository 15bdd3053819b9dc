// The agent: reads misses, queries the controller, writes answers to the kernel, and reconciles everything at the begin of a
// session. The kernel, the core and the link to the controller, and the order in which they start and stop.
import type { Logger } from "pino";
import { Slices } from "../common/cooperative.ts";
import type { VtepAddress } from "../schema/address/index.ts";
import { ControllerLink } from "./controller-link/link.ts";
import { Uplink } from "./controller-link/uplink.ts";
import { type Clock, type Core, createCore } from "./core.ts";
import { type GuardOptions, HostGuards } from "./guards.ts";
import { controllerReader } from "./identity/read.ts";
import type { Renewal } from "./identity/renewal.ts";
import type { MetricsSources } from "./metrics/metrics.ts";
import { type Kernel, type KernelOptions, openKernel } from "./open-kernel.ts";
import type { StatusSources } from "./status/sources.ts";
import type { Caps } from "./tables/ageing.ts";
import { startWatchers, type Watchers } from "./watchers.ts";

export interface AgentOptions extends KernelOptions, GuardOptions {
  readonly controller: URL;
  /** Credentials for its connections. Absent: plain HTTP. */
  readonly renewal?: Renewal;
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Entries without traffic for this time are evicted; Infinity: none. */
  readonly idleMs: number;
  readonly caps: Caps;
  /** Of whole networks in memory, together. */
  readonly maxReplicaBytes: number;
}

const clock: Clock = {
  nowMs: () => performance.now(),
  random: Math.random,
  turns: new Slices(2, true),
  afterReading: setImmediate,
  later: (ms, callback) => void setTimeout(callback, ms).unref(),
};

export class Agent {
  private readonly kernel: Kernel;
  private readonly core: Core<HostGuards>;
  private readonly link: ControllerLink;
  /** Absent until the agent has started. */
  private watchers: Watchers | undefined;

  constructor(
    private readonly options: AgentOptions,
    private readonly log: Logger,
  ) {
    const { controller, renewal } = options;
    const kernel = openKernel(options);
    const uplink = new Uplink();
    this.core = createCore({
      ...options,
      kernel,
      uplink,
      clock,
      openGuards: (parts) => new HostGuards(kernel, options, parts),
      trust: (frame) => renewal?.onTrust(frame),
      log,
    });
    this.kernel = kernel;
    this.link = new ControllerLink(controller, () => renewal?.current, this.core.session, log);
    uplink.attach(this.link);
  }

  /** Takes over devices and entries of an earlier run, then listens and connects. */
  async start(): Promise<void> {
    const { core, kernel, log } = this;
    await core.guards.begin();
    await this.takeOver();
    this.watchers = startWatchers(kernel, core, clock, log);
    await kernel.devices
      .closeToHost()
      .then(() => log.info("bridges and ports are closed towards this host"))
      .catch((error: unknown) => log.error({ err: error }, "bridges not closed towards this host: retrying soon"));
    core.guards.filter.start();
    this.options.renewal?.start();
    this.link.start();
  }

  /** Stops all work. Devices and entries stay: the data path does not need the agent. */
  async stop(): Promise<void> {
    this.options.renewal?.stop();
    this.link.stop();
    this.watchers?.close();
    this.core.guards.close();
    await this.core.close();
    this.kernel.close();
    this.log.info({ misses: this.core.resolver.counters }, "stopped; devices and entries stay in place");
  }

  /** The data for `agent status` and `explain`. */
  get sources(): StatusSources {
    const { options, kernel, core, link } = this;
    // Read when asked for: metrics take the sources before the agent has started.
    const watchers = () => this.watchers;
    return {
      ...kernel,
      ...core,
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

  private async takeOver(): Promise<void> {
    const { devices, tables } = this.kernel;
    const vnis = await devices.takeOver();
    const entries = (await Promise.all(vnis.map((vni) => tables.list(vni)))).flat().filter(({ own }) => own);
    this.core.session.inherit(entries.map(({ entry }) => entry));
    if (vnis.length > 0) this.log.info({ networks: vnis.length, entries: entries.length }, "took over earlier entries");
  }
}
