// No interleaving leaves a wrong entry: answers, changes, deletes, re-creation under the same address, swaps, moves back and
// forth, reconnects and restarts, with every frame, write, dump and acknowledgement at any time that its order allows.
import fc from "fast-check";
import { expect, test } from "vitest";
import { partnersOf, seedArrivals } from "../../controller/agents/arrivals.ts";
import { fanOut, holdAnswer } from "../../controller/agents/fan-out.ts";
import { movesIn } from "../../controller/agents/holders.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { agentNetwork, answerFor, findVisibleNetwork, localKeys } from "../../controller/inventory/bindings.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import type { Frame } from "../../node-agent/controller-link/link.ts";
import {
  type AgentFrame,
  type Answer,
  type BindingKey,
  type ControllerFrame,
  keyText,
  parseIp,
  parseMac,
  parseVni,
  parseVtep,
} from "../../schema/index.ts";
import { runs } from "../support/property-runs.ts";
import { ScheduledAgent, ScheduledKernel } from "../support/scheduled-host.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const host = "a";
const epoch = "one";
const vnis = [100, 200].map(parseVni);

/** A connection, ordered both ways; what is on its way when it ends is lost. */
class Connection {
  open = true;
  synced = false;
  readonly up: AgentFrame[] = [];
  readonly down: ControllerFrame[] = [];
}

class World {
  private readonly inventory = new Driven();
  private readonly interest = new InterestIndex();
  private readonly kernel: ScheduledKernel;
  private connection = new Connection();
  private agent: ScheduledAgent;

  constructor(scheduler: fc.Scheduler) {
    this.kernel = new ScheduledKernel(scheduler);
    this.agent = this.newAgent();
    this.mutate(furnished);
    this.connect();
  }

  mutate(mutations: readonly Mutation[]): void {
    const changes = this.inventory.apply(mutations);
    if (!changes) return;
    const { state, revision } = this.inventory;
    const concerned = atOnce(bindingChanges(state, changes));
    const { interest } = this;
    const partners = atOnce(partnersOf(state, interest, movesIn(changes)));
    const pushes = atOnce(fanOut(state, interest, concerned, revision));
    atOnce(seedArrivals({ state, interest, pushes, asOf: revision }, partners));
    const push = pushes.get(host);
    if (push && this.connection.synced) {
      const { networks, gone, answers, self } = push;
      this.tell({ type: "changes", asOf: revision, networks, gone, answers, ...(self ? { self } : {}), end: true });
    }
    // The real controller ends the session of a host that is deleted; it comes back as soon as it is registered anew.
    if (concerned.deletedHosts.includes(host)) this.reconnect();
  }

  miss(key: BindingKey): void {
    this.agent.miss(key);
  }

  reconnect(): void {
    this.connection.open = false;
    this.agent.session.onClosed();
    this.connect();
  }

  async restart(): Promise<void> {
    this.agent.kill();
    this.connection.open = false;
    this.agent = this.newAgent();
    await this.agent.start();
    this.connect();
  }

  /** What the kernel holds is what the inventory says, of all that was asked for. */
  async expectTrue(): Promise<void> {
    const { state, revision } = this.inventory;
    for (const vni of vnis) {
      const entries = (await this.kernel.present(vni)).map(({ entry }) => entry);
      const desired = [...this.agent.held.desired(vni).values()];
      if (!findVisibleNetwork(state, host, vni)) {
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

  private newAgent(): ScheduledAgent {
    return new ScheduledAgent(host, this.kernel, (frame) => {
      if (!this.connection.open || !this.connection.synced) return false;
      this.ask(frame);
      return true;
    });
  }

  /** The registered host says what it holds, and is told everything anew. */
  private connect(): void {
    if (!this.inventory.state.findHost(host)) this.mutate([furnished[2] as Mutation]);
    this.connection = new Connection();
    const { connection } = this;
    const keys = this.agent.session.interest();
    void this.kernel.soon("interest").then(() => {
      if (!connection.open) return;
      const { state, revision } = this.inventory;
      this.interest.forget(host);
      this.interest.markDeclared(host);
      const own = localKeys(state, host).map((key) => answerFor(state, host, key, revision));
      const declared = keys.map((key) => this.answer(key));
      const answers = [...new Map([...own, ...declared].map((answer) => [keyText(answer.key), answer])).values()];
      const networks = [...state.networksOn(host).keys()].flatMap((name) => state.findNetwork(name) ?? []);
      connection.synced = true;
      const vtep = parseVtep("192.0.2.1");
      this.tell({ type: "welcome", protocol: 1, epoch, asOf: revision, host, vtep, vtepPort: 4789 });
      this.tell({ type: "snapshot", asOf: revision, networks: networks.map(agentNetwork), answers, end: true });
    });
  }

  private ask(frame: AgentFrame): void {
    const { connection } = this;
    connection.up.push(frame);
    void this.kernel.soon("up").then(() => connection.open && this.serve(connection.up.shift()));
  }

  private tell(frame: ControllerFrame): void {
    const { connection } = this;
    connection.down.push(frame);
    void this.kernel.soon("down").then(() => connection.open && this.deliver(connection.down.shift()));
  }

  private serve(frame: AgentFrame | undefined): void {
    const asOf = this.inventory.revision;
    if (frame?.type === "release") {
      for (const key of frame.keys) this.interest.release(host, key);
      this.tell({ type: "answers", id: frame.id, asOf, answers: [] });
    }
    if (frame?.type === "resolve") {
      const answers = frame.questions.map((key) => this.answer(key));
      this.tell({ type: "answers", id: frame.id, asOf, answers });
    }
  }

  private deliver(frame: ControllerFrame | undefined): void {
    const { session } = this.agent;
    if (frame?.type === "welcome") session.onWelcome(frame);
    if (frame?.type === "snapshot") session.onSnapshot(frame);
    if (frame?.type === "answers") session.onAnswers(frame);
    if (frame?.type === "changes") session.onChanges(frame as Frame<"changes">);
  }

  private answer(key: BindingKey): Answer {
    const { state, revision } = this.inventory;
    const answer = answerFor(state, host, key, revision);
    if (findVisibleNetwork(state, host, key.vni)) holdAnswer(this.interest, host, answer, { asked: true });
    return answer;
  }
}

const sorted = <T>(entries: readonly T[]): string[] => entries.map((entry) => JSON.stringify(entry)).sort();

const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9", "fd00::2", "fe80::1"];
const macs = [1, 2, 3, 4, 5].map((n) => `52:54:00:00:00:0${n}`);
const someKey: fc.Arbitrary<BindingKey> = fc.constantFrom(
  ...vnis.flatMap((vni) => [
    ...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip: parseIp(ip) })),
    ...macs.map((mac): BindingKey => ({ kind: "mac", vni, mac: parseMac(mac) })),
  ]),
);
type Step = (world: World) => unknown;
const described = (name: string, value: unknown, act: Step): Step =>
  Object.assign(act, { [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}` });
const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: someMutations.map((each) => described("mutate", each, (world) => world.mutate(each))) },
    { weight: 6, arbitrary: someKey.map((key) => described("miss", key, (world) => world.miss(key))) },
    { weight: 1, arbitrary: fc.constant(described("reconnect", "", (world) => world.reconnect())) },
    { weight: 1, arbitrary: fc.constant(described("restart", "", (world) => world.restart())) },
  ),
  { size: "max", maxLength: 40 },
);

test("in whatever order things take effect, the kernel ends up with what the inventory says", () =>
  fc.assert(
    fc.asyncProperty(fc.scheduler(), someSteps, async (scheduler, steps) => {
      const world = new World(scheduler);
      scheduler.scheduleSequence(steps.map((act) => async () => act(world)));
      await scheduler.waitIdle();
      await world.expectTrue();
    }),
    { numRuns: runs(500) },
  ));
