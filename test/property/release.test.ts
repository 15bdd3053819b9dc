// A host receives changes of the keys it holds, and none of released keys. Over an ordered channel with frames in
// flight in both directions, for any questions of guests, changes by operators and concurrent evictions.
import fc from "fast-check";
import { expect, test } from "vitest";
import { partnersOf, seedArrivals } from "../../controller/agents/arrivals.ts";
import { fanOut } from "../../controller/agents/fan-out.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { SeedCandidates, seedsFor } from "../../controller/agents/seeding.ts";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { answerFor, localKeys } from "../../controller/inventory/bindings.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { findKnownNetwork } from "../../controller/inventory/known-networks.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { movesIn } from "../../controller/inventory/vm-moves.ts";
import { Releases } from "../../node-agent/controller-link/releases.ts";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import {
  type Answer,
  type BindingKey,
  keyText,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  type Vni,
} from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { parseVm } from "../../schema/rest/index.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished, someMutations } from "./inventory-model.ts";

const vnis = [100, 200].map(parseVni);
const caps = { perNetwork: 3, perHost: 4 };
const idleMs = 1_000;

type Down =
  | { readonly type: "answers"; readonly id: number; readonly answers: readonly Answer[] }
  | { readonly type: "seed"; readonly answers: readonly Answer[] }
  | { readonly type: "changes"; readonly gone: readonly Vni[]; readonly answers: readonly Answer[] };

/** The agent of one host, as `core.ts` puts its parts together, with a queue in each direction. */
class World {
  readonly inventory = new Driven();
  readonly interest = new InterestIndex();
  held = new HeldAnswers(caps);
  private up: AgentFrame[] = [];
  private down: Down[] = [];
  private readonly uplink = new Uplink();
  private nowMs = 0;
  private readonly releases = new Releases(this.uplink);

  constructor(readonly host: string) {
    this.uplink.attach({ isLive: true, send: (frame) => this.up.push(frame) > 0 });
    this.mutate(furnished);
  }

  mutate(mutations: readonly Mutation[]): void {
    const changes = this.inventory.apply(mutations);
    if (!changes) return;
    const { state, revision } = this.inventory;
    const concerned = atOnce(bindingChanges(state, changes));
    const partners = atOnce(partnersOf(state, this.interest, movesIn(changes)));
    const pushes = atOnce(fanOut(state, this.interest, concerned, revision));
    atOnce(seedArrivals({ state, interest: this.interest, pushes, asOf: revision }, partners));
    const push = pushes.get(this.host);
    if (push) this.down.push({ type: "changes", gone: push.gone, answers: push.answers });
    if (concerned.deletedHosts.includes(this.host)) {
      this.held = new HeldAnswers(caps);
      this.reconnect();
    }
  }

  ask(key: BindingKey): void {
    const { kind } = this.held.lookUp(key, this.nowMs);
    if (kind !== "remote" && kind !== "local")
      this.up.push({ type: "resolve", id: this.uplink.nextId(), questions: [key] });
  }

  /** A guest of another host asks for one of this host. */
  seed(host: string, question: BindingKey): void {
    const { state, revision } = this.inventory;
    const { binding } = answerFor(state, host, question, revision);
    if (!binding || binding.host !== this.host || host === this.host) return;
    const answers = seedsFor(
      state,
      this.interest,
      { host, asked: new SeedCandidates(state, host).of(question), question, binding },
      revision,
    );
    if (answers.length > 0) this.down.push({ type: "seed", answers });
  }

  /** The kernel says that these MACs were not used for long. */
  age(vni: Vni, idle: ReadonlySet<string>): void {
    this.nowMs += idleMs;
    const macs = [...this.held.desired(vni).values()].map(({ mac }) => mac);
    const ages = new Map(macs.filter((mac) => !idle.has(mac)).map((mac) => [mac, 0]));
    this.releases.release(this.held.age(vni, ages, this.nowMs, idleMs).released);
  }

  /** The controller reads one frame. */
  serve(): boolean {
    const frame = this.up.shift();
    const { state, revision } = this.inventory;
    if (frame?.type === "release") {
      for (const key of frame.keys) this.interest.release(this.host, key);
      this.down.push({ type: "answers", id: frame.id, answers: [] });
    }
    if (frame?.type === "resolve") {
      const answers = frame.questions.map((key) => this.answer(key));
      this.down.push({ type: "answers", id: frame.id, answers });
    }
    return frame !== undefined && state !== undefined && revision >= 0;
  }

  /** The agent reads one frame. */
  deliver(): boolean {
    const frame = this.down.shift();
    if (!frame) return false;
    if (frame.type === "answers") this.releases.confirmed(frame.id);
    const occasion = frame.type === "answers" ? "asked" : "told";
    this.nowMs++;
    this.releases.release(this.held.take(this.releases.pass(frame.answers), this.nowMs, occasion).released);
    if (frame.type === "changes") for (const vni of frame.gone) this.held.forgetNetwork(vni);
    return true;
  }

  reconnect(): void {
    const { state, revision } = this.inventory;
    this.up = [];
    this.down = [];
    this.releases.clear();
    this.interest.forget(this.host);
    this.interest.markDeclared(this.host);
    const own = localKeys(state, this.host).map((key) => answerFor(state, this.host, key, revision));
    const declared = this.held.keys().map((key) => this.answer(key));
    const answers = [...new Map([...own, ...declared].map((answer) => [keyText(answer.key), answer])).values()];
    this.releases.release(this.held.replace(answers, this.nowMs));
  }

  /** Everything in flight arrives. */
  settle(): void {
    while (this.serve() || this.deliver());
    expect(this.releases.size).toBe(0);
  }

  expectBounded(): void {
    expect(this.held.size).toBeLessThanOrEqual(caps.perHost);
    for (const vni of vnis) {
      const addresses = [...this.held.desired(vni).values()].filter(({ kind }) => kind !== "bridge");
      expect(addresses.length).toBeLessThanOrEqual(caps.perNetwork);
    }
  }

  /** Every entry equals the answer to a new question, and its change would be pushed. */
  expectTrue(): void {
    const { state, revision } = this.inventory;
    for (const entry of vnis.flatMap((vni) => [...this.held.desired(vni).values()])) {
      const { vni } = entry;
      const key: BindingKey =
        entry.kind === "neighbour" ? { kind: "ip", vni, ip: entry.ip } : { kind: "mac", vni, mac: entry.mac };
      const { binding } = answerFor(state, this.host, key, revision);
      expect(binding).toMatchObject(
        entry.kind === "tunnel" ? { mac: entry.mac, vtep: entry.vtep, vtepPort: entry.vtepPort } : { mac: entry.mac },
      );
      expect(binding).not.toHaveProperty("local");
      if (entry.kind === "neighbour") expect(this.interest.knows(this.host, key)).toBe(true);
    }
    for (const key of this.held.keys()) {
      if (this.held.lookUp(key, 0).kind === "remote") expect(this.interest.knows(this.host, key)).toBe(true);
    }
  }

  /** The host's interest equals its cache: nothing is left over on either side. */
  expectNoLeftovers(keys: readonly BindingKey[]): void {
    for (const key of keys) {
      if (this.interest.knows(this.host, key))
        expect([key, this.held.lookUp(key, 0).kind]).not.toEqual([key, "nothing"]);
    }
  }

  private answer(key: BindingKey): Answer {
    const { state, revision } = this.inventory;
    const answer = answerFor(state, this.host, key, revision);
    if (findKnownNetwork(state, this.host, key.vni)) this.interest.holdAnswer(this.host, answer, { asked: true });
    return answer;
  }
}

const someVni = fc.constantFrom(...vnis);
const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9", "fd00::2", "fe80::1"];
const macs = [1, 2, 3, 4, 5].map((n) => `52:54:00:00:00:0${n}`);
const everyKey: readonly BindingKey[] = vnis.flatMap((vni) => [
  ...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip: parseIp(ip) })),
  ...macs.map((mac): BindingKey => ({ kind: "mac", vni, mac: parseMac(mac) })),
]);
const someKey = fc.constantFrom(...everyKey);
type Step = (world: World) => unknown;
const step = <T>(
  weight: number,
  name: string,
  arbitrary: fc.Arbitrary<T>,
  act: (world: World, value: T) => unknown,
) => ({
  weight,
  arbitrary: arbitrary.map((value): Step => {
    const described = { [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}` };
    return Object.assign((world: World) => act(world, value), described);
  }),
});
const nothing = fc.constant("");
const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    step(4, "mutate", someMutations, (world, mutations) => world.mutate(mutations)),
    step(6, "ask", someKey, (world, key) => world.ask(key)),
    step(2, "seed", fc.tuple(fc.constantFrom("b", "c"), someKey), (world, [host, key]) => world.seed(host, key)),
    step(3, "age", fc.tuple(someVni, fc.subarray(macs)), (world, [vni, idle]) => world.age(vni, new Set(idle))),
    step(6, "serve", nothing, (world) => world.serve()),
    step(6, "deliver", nothing, (world) => world.deliver()),
    step(1, "reconnect", nothing, (world) => world.reconnect()),
  ),
  { size: "max", maxLength: 60 },
);

test("whatever is in flight when entries are evicted, no entry is left that will not be corrected", () =>
  fc.assert(
    fc.property(someSteps, (steps) => {
      const world = new World("a");
      for (const act of steps) {
        act(world);
        world.expectBounded();
      }
      world.settle();
      world.expectTrue();
      world.expectNoLeftovers(everyKey);
    }),
    { numRuns: runs(1_000) },
  ));

// Found by the property above, with seed 1877199810, while a release was confirmed by a separate frame.
test("a seed sent while the release of its key is in flight does not leave the key known to one side only", () => {
  const world = new World("a");
  const interfaces = [{ network: "blue", mac: "52:54:00:00:00:03", ips: ["fd00::3"] }];
  world.mutate([{ kind: "vm.create", spec: parseVm("v3", { host: "b", interfaces }) }]);
  world.reconnect();
  const question: BindingKey = { kind: "ip", vni: parseVni(100), ip: parseIp("10.0.0.1") };
  world.seed("b", question);
  world.deliver();
  world.serve();
  world.seed("b", question);
  world.settle();
  world.expectTrue();
  world.expectNoLeftovers(everyKey);
});

test("while a release is in flight, answers about the same address in another network are accepted", () => {
  const [blue, red] = vnis.map((vni): BindingKey => ({ kind: "ip", vni, ip: parseIp("10.0.0.1") }));
  if (!blue || !red) throw new Error("two networks");
  const releases = new Releases({ send: () => true, nextId: () => 1 });
  releases.release([blue]);
  const answers = [blue, red].map((key): Answer => ({ key, revision: parseRevision(1), binding: null }));
  expect(releases.pass(answers).map(({ key }) => key)).toEqual([red]);
});
