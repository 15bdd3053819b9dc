// No interleaving leaves a wrong entry: answers, changes, deletes, re-creation under the same address, swaps, moves back and
// forth, evictions, reconnects and restarts, with every frame, write, dump and acknowledgement at any time that its order allows.
import { EventEmitter } from "node:events";
import fc from "fast-check";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { WebSocket } from "ws";
import { defined } from "../../common/defined.ts";
import { AgentChannel } from "../../controller/agents/agent-channel.ts";
import { OperationalEvents } from "../../controller/events/operational-events.ts";
import { answerFor, keysOf } from "../../controller/inventory/bindings.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { findKnownNetwork } from "../../controller/inventory/known-networks.ts";
import { Metrics } from "../../controller/metrics.ts";
import { Rates } from "../../controller/observe/rates.ts";
import type { Commit } from "../../controller/store/store.ts";
import type { Committer } from "../../controller/write/committer.ts";
import type { CommitListener } from "../../controller/write/orders.ts";
import { interestFrames } from "../../node-agent/controller-link/link.ts";
import { type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import { type AgentFrame, parseControllerFrame, protocolVersions } from "../../schema/agent/index.ts";
import { effectiveKnowledge } from "../../schema/plain/index.ts";
import { type Network, parseHost } from "../../schema/rest/index.ts";
import { hasRareCases, runs } from "../support/property-runs.ts";
import { ScheduledAgent, ScheduledKernel } from "../support/scheduled-host.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const host = "a";
const epoch = "one";
const vnis = [100, 200].map(parseVni);
/** Of the question that is the last frame of a run. No agent gets so far. */
const fenceId = 1_000_000;

const log = pino({ level: "silent" });
const metrics = Object.assign(new Metrics(), {
  // Every world has its own channel, and one registry has each gauge once.
  observe: () => {},
});

/** A WebSocket as the controller sees it, ordered in both directions. Frames in transit when it ends are lost. */
class Connection extends EventEmitter {
  /** More than a snapshot waits for: it pauses before each of its frames. */
  readonly bufferedAmount = 1 << 20;
  open = true;
  /** The snapshot has arrived. */
  live = false;
  /** Of the last frame that arrived. */
  asOf = 0;
  /** Frames that the agent sent. */
  sent = 0;
  private readonly up: AgentFrame[] = [];
  private readonly down: (() => void)[] = [];

  constructor(
    private readonly kernel: ScheduledKernel,
    private readonly deliver: (text: string) => void,
    private readonly onClose: () => void,
  ) {
    super();
  }

  ask(frame: AgentFrame): void {
    this.sent += 1;
    this.up.push(frame);
    void this.kernel.soon("up").then(() => {
      const next = this.up.shift();
      if (this.open) this.emit("message", Buffer.from(JSON.stringify(next)), false);
    });
  }

  send(text: string): void {
    this.later(() => this.deliver(text));
  }

  /** The peer reads the earlier frames. */
  close(): void {
    this.later(this.onClose);
  }

  terminate(): void {
    this.close();
  }

  ping(_data: undefined, _mask: boolean, written: () => void): void {
    void this.kernel.soon("read on").then(written);
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.open = false;
    this.emit("close");
  }

  private later(act: () => void): void {
    this.down.push(act);
    void this.kernel.soon("down").then(() => {
      const next = this.down.shift();
      if (this.open) next?.();
    });
  }
}

class World {
  private readonly inventory = new Driven();
  private readonly listeners: CommitListener[] = [];
  /** Frames that no agent would take. */
  private readonly wrong: string[] = [];
  private readonly channel: AgentChannel;
  private readonly kernel: ScheduledKernel;
  private connection: Connection;
  /** All that there were, the present one last. */
  private readonly agents: ScheduledAgent[] = [];
  private agent: ScheduledAgent;
  private fence: { readonly connection: Connection; readonly sent: number; back: boolean } | undefined;

  /** @param protocol the newest version of the session: 1 with a peer of the last release */
  constructor(
    private readonly scheduler: fc.Scheduler,
    private readonly protocol: number,
  ) {
    this.kernel = new ScheduledKernel(scheduler);
    this.channel = this.newChannel();
    this.agent = this.newAgent();
    this.mutate(furnished);
    this.connection = this.connect();
  }

  mutate(mutations: readonly Mutation[]): void {
    const changes = this.inventory.apply(mutations);
    if (!changes) return;
    const commit: Commit = { revision: this.inventory.revision, time: "2026-01-02T03:04:05.678Z", changes };
    for (const listener of this.listeners) void listener(commit);
  }

  miss(key: BindingKey): void {
    this.agent.miss(key);
  }

  evict(): void {
    this.agent.evict();
  }

  reconnect(): void {
    this.connection.end();
    this.agent.session.onClosed();
    this.connection = this.connect();
  }

  async restart(): Promise<void> {
    this.agent.kill();
    this.connection.end();
    this.agent = this.newAgent();
    await this.agent.start();
    this.connection = this.connect();
  }

  /** Everything in transit has arrived and taken effect: a last question is answered, and no frame followed it. */
  async settle(): Promise<void> {
    for (;;) {
      await this.scheduler.waitIdle();
      await new Promise<void>((resolve) => setImmediate(resolve));
      const { connection, fence } = this;
      expect(this.wrong).toEqual([]);
      if (!connection.live || this.scheduler.count() > 0) continue;
      const isLast = fence?.connection === connection && fence.sent === connection.sent;
      if (isLast && fence.back && this.hasBases()) break;
      if (isLast) continue;
      connection.ask({ type: "resolve", id: fenceId, questions: [] });
      this.fence = { connection, sent: connection.sent, back: false };
    }
    this.connection.end();
    this.channel.stop();
  }

  /** The whole networks in the agent's memory match the inventory. Version 1 has none. */
  private expectReplicas(): void {
    const { state, revision } = this.inventory;
    const { replicas } = this.agent;
    for (const vni of vnis) {
      const known = findKnownNetwork(state, host, vni);
      const network = known && isWhole(known) ? known : undefined;
      const keys = network
        ? [...state.vmsIn(network.name)].flatMap(({ interfaces }) =>
            interfaces.filter((each) => each.network === network.name).flatMap((each) => keysOf(each, vni)),
          )
        : [];
      const isThere = network !== undefined && this.protocol > 1;
      expect(replicas.size(vni)).toBe(isThere ? keys.length : 0);
      for (const key of isThere ? keys : []) {
        const { binding } = answerFor(state, host, key, revision);
        const { guestPort: _, ...bound } = binding ?? {};
        expect(replicas.find(key)?.binding).toEqual(bound);
      }
    }
  }

  /** A base is sent beside answers, in its own turns. */
  private hasBases(): boolean {
    const { state } = this.inventory;
    const whole = vnis.filter((vni) => {
      const known = findKnownNetwork(state, host, vni);
      return known && isWhole(known);
    });
    return this.protocol === 1 || whole.every((vni) => this.agent.replicas.isComplete(vni));
  }

  /** The kernel's entries match the inventory, for all requested addresses. */
  async expectTrue(): Promise<void> {
    const { state, revision } = this.inventory;
    this.expectReplicas();
    for (const { guests } of this.agents) expect(guests.untrue).toEqual([]);
    for (const vni of vnis) {
      const entries = (await this.kernel.present(vni)).map(({ entry }) => entry);
      const desired = [...this.agent.held.desired(vni).values()];
      const { interests } = this.channel;
      const remote = this.agent.held.keysIn(vni).filter((key) => this.agent.held.find(key)?.kind === "remote");
      // Whichever way it was answered, the controller knows that this kernel has it.
      if (findKnownNetwork(state, host, vni)) {
        expect(remote.filter((key) => !interests.knows(host, key))).toEqual([]);
      }
      if (!findKnownNetwork(state, host, vni)) {
        expect(entries).toEqual([]);
        continue;
      }
      expect(sorted(entries)).toEqual(sorted(desired));
      for (const entry of entries) {
        const key: BindingKey =
          entry.kind === "neighbour" ? { kind: "ip", vni, ip: entry.ip } : { kind: "mac", vni, mac: entry.mac };
        const { binding } = answerFor(state, host, key, revision);
        expect(binding).not.toHaveProperty("local");
        expect(binding).toMatchObject(
          entry.kind === "tunnel" ? { mac: entry.mac, vtep: entry.vtep, vtepPort: entry.vtepPort } : { mac: entry.mac },
        );
      }
    }
  }

  /** How many answers guests got, how many addresses were evicted, and how many misses needed no question. */
  get counts(): Readonly<Record<"told" | "evicted" | "here" | "byThread" | "unregistered", number>> {
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      told: sum(this.agents.map(({ guests }) => guests.told)),
      evicted: sum(this.agents.map((each) => each.evicted)),
      here: sum(this.agents.map(({ counters }) => counters.here)),
      byThread: sum(this.agents.map(({ thread }) => thread.answers)),
      unregistered: sum(this.agents.map(({ counters }) => counters.unregistered)),
    };
  }

  private newAgent(): ScheduledAgent {
    const isLive = (): boolean => this.connection.open && this.connection.live;
    const agent = new ScheduledAgent(host, this.kernel, {
      get isLive() {
        return isLive();
      },
      send: (frame) => {
        if (!isLive()) return false;
        this.connection.ask(frame);
        return true;
      },
    });
    this.agents.push(agent);
    return agent;
  }

  /** The controller's own class, over an inventory whose changes are durable at once. */
  private newChannel(): AgentChannel {
    const { inventory, listeners } = this;
    const committer = {
      get current() {
        return inventory.state;
      },
      get revision() {
        return inventory.revision;
      },
      subscribe: (listener: CommitListener) => listeners.push(listener),
    };
    const nowMs = () => 0;
    return new AgentChannel({
      committer: committer as unknown as Committer,
      epoch,
      selfRegistration: false,
      certification: undefined,
      limits: { heartbeatMs: 5_000, maxBufferedBytes: 1 << 30, helloMs: 5_000, stalledMs: 5_000 },
      // The clock does not advance, so no budget is restored.
      allowance: { perSecond: 1, burst: Number.MAX_SAFE_INTEGER },
      graceMs: 5_000,
      operational: new OperationalEvents(epoch),
      metrics,
      rates: new Rates(nowMs),
      log,
      now: () => new Date(0),
      nowMs,
    });
  }

  /** The registered host declares its keys, and receives everything again. */
  private connect(): Connection {
    // With a VTEP that no other host has taken since.
    const spec = parseHost(host, { vtep: "192.0.2.99" }, "operator");
    if (!this.inventory.state.findHost(host)) this.mutate([{ kind: "host.put", spec }]);
    const connection = new Connection(
      this.kernel,
      (text) => this.deliver(connection, text),
      () => this.reconnect(),
    );
    this.channel.accept(connection as unknown as WebSocket, { kind: "anyone" }, (text) => connection.send(text));
    const { epoch: known, asOf } = this.agent.session.hello();
    const position = defined({ epoch: known, asOf });
    const protocol = { ...protocolVersions, max: this.protocol };
    connection.ask({ type: "hello", protocol, version: "1", host, vtepPort: 4789, seeding: true, ...position });
    for (const frame of interestFrames(this.agent.session.interest())) connection.ask(frame);
    return connection;
  }

  private deliver(connection: Connection, text: string): void {
    const { session } = this.agent;
    const frame = parseControllerFrame(text, { protocol: this.protocol, host });
    if (frame && "asOf" in frame) {
      if (frame.asOf < connection.asOf) this.wrong.push(`asOf went back from ${connection.asOf} to ${frame.asOf}`);
      connection.asOf = frame.asOf;
    }
    if (frame?.type === "welcome") session.onWelcome(frame);
    if (frame?.type === "snapshot") {
      if (!frame.end) this.wrong.push(`a part of ${frame.type}`);
      connection.live = true;
      session.onSnapshot(frame);
    }
    if (frame?.type === "answers" && frame.id === fenceId) {
      if (this.fence?.connection === connection) this.fence.back = true;
    } else if (frame?.type === "answers" || frame?.type === "seed") session.onAnswers(frame);
    if (frame?.type === "base") session.onBase(frame);
    if (frame?.type === "delta") session.onDelta(frame);
    if (frame?.type === "changes") {
      if (!frame.end) this.wrong.push(`a part of ${frame.type}`);
      session.onChanges(frame);
    }
  }
}

const isWhole = (network: Network): boolean => effectiveKnowledge(network) !== "on-demand";

const sorted = <T>(entries: readonly T[]): string[] => entries.map((entry) => JSON.stringify(entry)).sort();

const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9", "fd00::2", "fe80::1"];
const macs = [1, 2, 3, 4, 5].map((n) => `52:54:00:00:00:0${n}`);
const someKey: fc.Arbitrary<BindingKey> = fc.constantFrom(
  ...vnis.flatMap((vni) => [
    ...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip: parseIp(ip) })),
    ...macs.map((mac): BindingKey => ({ kind: "mac", vni, mac: parseMac(mac) })),
  ]),
);
/** Between two tasks everything that waits for the event loop runs. */
const oneRound = async (task: () => Promise<void>): Promise<void> => {
  await task();
  await new Promise<void>((resolve) => setImmediate(resolve));
};
type Step = (world: World) => unknown;
const described = (name: string, value: unknown, act: Step): Step =>
  Object.assign(act, { [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}` });
const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: someMutations.map((each) => described("mutate", each, (world) => world.mutate(each))) },
    { weight: 6, arbitrary: someKey.map((key) => described("miss", key, (world) => world.miss(key))) },
    { weight: 1, arbitrary: fc.constant(described("evict", "", (world) => world.evict())) },
    { weight: 1, arbitrary: fc.constant(described("reconnect", "", (world) => world.reconnect())) },
    { weight: 1, arbitrary: fc.constant(described("restart", "", (world) => world.restart())) },
  ),
  { size: "max", maxLength: 40 },
);

const someVersion = fc.integer(protocolVersions);

// No time passes: deadlines are not the subject here.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

test("in whatever order things take effect, the kernel ends up with what the inventory says", async () => {
  const happened = { told: 0, evicted: 0, here: 0, byThread: 0, unregistered: 0 };
  await fc.assert(
    fc.asyncProperty(fc.scheduler({ act: oneRound }), someSteps, someVersion, async (scheduler, steps, protocol) => {
      const world = new World(scheduler, protocol);
      scheduler.scheduleSequence(steps.map((act) => async () => act(world)));
      await world.settle();
      await world.expectTrue();
      for (const [name, count] of Object.entries(world.counts)) happened[name as keyof typeof happened] += count;
      vi.clearAllTimers();
    }),
    { numRuns: runs(500) },
  );
  if (hasRareCases) for (const count of Object.values(happened)) expect(count).toBeGreaterThan(0);
});
