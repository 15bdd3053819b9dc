// The core of the agent channel, over random interleavings: an agent that applies its pushes, and nothing else, always
// has the answers that a new question would get.
import fc from "fast-check";
import { expect, test } from "vitest";
import { fanOut, type Push, pushOf } from "../../controller/agents/fan-out.ts";
import { holdersOf } from "../../controller/agents/holders.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { type BindingChanges, bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { agentNetwork, answerFor, keysOfVm, localKeys } from "../../controller/inventory/bindings.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { findKnownNetwork } from "../../controller/inventory/known-networks.ts";
import { type HostPreparation, preparedOn } from "../../controller/inventory/prepared-guests.ts";
import { rangeChanges } from "../../controller/inventory/range-changes.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { movesIn } from "../../controller/inventory/vm-moves.ts";
import { PreparedGuests } from "../../node-agent/tables/prepared-guests.ts";
import {
  type Answer,
  type BindingKey,
  keyText,
  type PreparedGuest,
  parseIp,
  parseMac,
  parseVni,
  type Vni,
} from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished, someChangeSets, someMutations } from "./inventory-model.ts";

/** Stores received answers, drops older ones, and removes a network that is gone. */
class ModelAgent {
  readonly networks = new Map<Vni, { name: string; mtu: number }>();
  readonly answers = new Map<string, Answer>();
  readonly prepared = new PreparedGuests();
  /** Keys that it asked for and still has. */
  readonly asked = new Set<string>();

  constructor(readonly host: string) {}

  declare(world: Driven, interest: InterestIndex): void {
    const declared = [...this.answers.values()].map(({ key }) => key);
    interest.forget(this.host);
    interest.markDeclared(this.host);
    this.answers.clear();
    this.asked.clear();
    this.networks.clear();
    this.prepared.replace([...preparedOn(world.state, this.host)]);
    for (const name of world.state.networksOn(this.host).keys()) {
      const network = world.state.findNetwork(name);
      if (network) this.networks.set(network.vni, agentNetwork(network));
    }
    for (const key of localKeys(world.state, this.host)) {
      this.take(answerFor(world.state, this.host, key, world.revision));
    }
    for (const key of declared) this.ask(world, interest, key);
  }

  ask(world: Driven, interest: InterestIndex, key: BindingKey): void {
    const answer = answerFor(world.state, this.host, key, world.revision);
    if (findKnownNetwork(world.state, this.host, key.vni)) interest.holdAnswer(this.host, answer, { asked: true });
    this.take(answer);
    if (this.answers.has(keyText(key))) this.asked.add(keyText(key));
  }

  /** Evicts an address; its MAC is evicted with the last address that leads to it. */
  release(interest: InterestIndex, key: BindingKey): void {
    const { binding } = this.answers.get(keyText(key)) ?? {};
    if (!binding || binding.local) return;
    const mac: BindingKey = { kind: "mac", vni: key.vni, mac: binding.mac };
    const leading = [...this.answers.values()].filter(
      ({ key: other, binding: to }) => other.kind === "ip" && other.vni === key.vni && to?.mac === binding.mac,
    );
    if (key.kind === "mac" && leading.length > 0) return;
    const last = leading.length === 1 && !this.asked.has(keyText(mac));
    for (const each of last ? [key, mac] : [key]) {
      interest.release(this.host, each);
      this.answers.delete(keyText(each));
      this.asked.delete(keyText(each));
    }
  }

  receive(push: Push): void {
    for (const network of push.networks) this.networks.set(network.vni, network);
    this.prepared.change(push.prepared);
    for (const vni of push.gone) {
      this.networks.delete(vni);
      this.prepared.forget(vni);
      for (const [text, { key }] of this.answers) {
        if (key.vni !== vni) continue;
        this.answers.delete(text);
        this.asked.delete(text);
      }
    }
    for (const answer of push.answers) this.take(answer);
  }

  private take(answer: Answer): void {
    const held = this.answers.get(keyText(answer.key));
    if (held && held.revision > answer.revision) return;
    // An agent keeps nothing of networks that it has no device for.
    if (!this.networks.has(answer.key.vni)) return;
    this.answers.set(keyText(answer.key), answer);
    const { binding } = answer;
    if (answer.key.kind === "ip" && binding) {
      this.take({ key: { kind: "mac", vni: answer.key.vni, mac: binding.mac }, revision: answer.revision, binding });
    }
  }
}

type Step =
  | { readonly kind: "mutate"; readonly mutations: readonly Mutation[] }
  | { readonly kind: "ask"; readonly host: string; readonly key: BindingKey }
  | { readonly kind: "release"; readonly host: string; readonly key: BindingKey }
  | { readonly kind: "reconnect"; readonly host: string };

const someHost = fc.constantFrom("a", "b", "c");
const someVni = fc.constantFrom(100, 200).map(parseVni);
const someKey: fc.Arbitrary<BindingKey> = fc.oneof(
  fc
    .record({ vni: someVni, ip: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "fd00::1", "fe80::1") })
    .map(({ vni, ip }): BindingKey => ({ kind: "ip", vni, ip: parseIp(ip) })),
  fc
    .record({ vni: someVni, n: fc.integer({ min: 1, max: 5 }) })
    .map(({ vni, n }): BindingKey => ({ kind: "mac", vni, mac: parseMac(`52:54:00:00:00:0${n}`) })),
);
const someStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: someMutations.map((mutations): Step => ({ kind: "mutate", mutations })),
  },
  { weight: 5, arbitrary: fc.record({ host: someHost, key: someKey }).map((ask): Step => ({ kind: "ask", ...ask })) },
  {
    weight: 2,
    arbitrary: fc.record({ host: someHost, key: someKey }).map((each): Step => ({ kind: "release", ...each })),
  },
  { weight: 1, arbitrary: someHost.map((host): Step => ({ kind: "reconnect", host })) },
);

const someSteps = fc.array(someStep, { size: "max", maxLength: 40 });

/** @param as "range": looked up in the inventories before and after, and pushed in parts, as of a large change set */
function* run(
  steps: readonly Step[],
  maxUnknown?: number,
  as: "objects" | "range" = "objects",
  { reaches = () => true, leavesOut = false }: { reaches?: (host: string) => boolean; leavesOut?: boolean } = {},
) {
  const world = new Driven();
  const interest = new InterestIndex(maxUnknown);
  const agents = new Map(["a", "b", "c"].map((host) => [host, new ModelAgent(host)]));
  const isConcerned = (host: string, network: string) =>
    reaches(host) || interest.isWatched(world.state.findNetwork(network)?.vni as Vni);
  for (const step of [{ kind: "mutate", mutations: furnished } as const, ...steps]) {
    let pushes = new Map<string, Push>();
    let changes: readonly ResourceChange[] = [];
    let concerned: BindingChanges | undefined;
    if (step.kind === "mutate") {
      const before = world.state.pin();
      changes = world.apply(step.mutations) ?? [];
      if (changes.length > 0) {
        const { state: after, revision } = world;
        concerned =
          as === "objects"
            ? atOnce(bindingChanges(after, changes))
            : atOnce(rangeChanges({ before, after, revision, changes, ...(leavesOut ? { isConcerned } : {}) }));
        pushes = atOnce(fanOut(after, interest, concerned, revision, { reaches }));
        before.release();
        for (const host of concerned.deletedHosts) agents.set(host, new ModelAgent(host));
        for (const [host, push] of pushes) agents.get(host)?.receive(push);
      }
    } else {
      const agent = agents.get(step.host);
      if (step.kind === "ask") agent?.ask(world, interest, step.key);
      else if (step.kind === "release") agent?.release(interest, step.key);
      else agent?.declare(world, interest);
    }
    yield { world, interest, agents, pushes, changes, concerned, step };
  }
}

const withoutRevision = ({ key, binding }: Answer) => ({ key, binding });

const inOrder = (guests: readonly PreparedGuest[]): string[] =>
  guests.map(({ vni, mac, ips, port }) => `${vni} ${mac} ${ips} ${port}`).sort();

function expectInSync(world: Driven, agents: ReadonlyMap<string, ModelAgent>): void {
  for (const agent of agents.values()) {
    for (const answer of agent.answers.values()) {
      const fresh = answerFor(world.state, agent.host, answer.key, world.revision);
      expect(withoutRevision(answer)).toEqual(withoutRevision(fresh));
      expect(answer.revision).toBeLessThanOrEqual(fresh.revision);
    }
    const visible = [...world.state.networksOn(agent.host).keys()].map((name) => world.state.findNetwork(name));
    expect([...agent.networks.values()].map(({ name, mtu }) => `${name} ${mtu}`).sort()).toEqual(
      visible.map((network) => `${network?.name} ${network?.mtu}`).sort(),
    );
    expect(inOrder(agent.prepared.list())).toEqual(inOrder([...preparedOn(world.state, agent.host)]));
    for (const key of localKeys(world.state, agent.host)) {
      expect(agent.answers.get(keyText(key))?.binding?.local).toBe(true);
    }
  }
}

test.each(["objects", "range"] as const)(
  "an agent that applies its pushes has the answers that a new question would get, of changes as %s",
  (as) =>
    fc.assert(
      fc.property(someSteps, (steps) => {
        for (const { world, agents } of run(steps, undefined, as)) expectInSync(world, agents);
      }),
      { numRuns: runs(400) },
    ),
);

test("new VMs that concern no host make no difference to any", () =>
  fc.assert(
    fc.property(someSteps, someHost, (steps, unreached) => {
      const reaches = (host: string) => host !== unreached;
      const all = run(steps, undefined, "range", { reaches });
      for (const some of run(steps, undefined, "range", { reaches, leavesOut: true })) {
        const { value } = all.next();
        expect([...some.pushes]).toEqual([...(value?.pushes ?? [])]);
        expect(some.interest.size).toBe(value?.interest.size);
      }
    }),
    { numRuns: runs(200) },
  ));

const arrivalOf = ({ host, change }: HostPreparation): string => `${host} ${change.vni} ${change.mac}`;

const inShort = (concerned: BindingChanges) => {
  const { keys, prepared, ...rest } = concerned;
  const lists = [rest.joined, rest.gone].map((lists) =>
    [...lists].map(([host, list]) => `${host} ${[...list]}`).sort(),
  );
  const known = new Map<string, string>();
  for (const each of keys) {
    if (each) known.set(keyText(each.key), `${[...each.hosts].sort()} ${each.created}`);
  }
  const { selves, deletedHosts } = rest;
  const arriving = new Map([...prepared].flatMap((each) => (each ? [[arrivalOf(each), each.change]] : [])));
  return { keys: [...known].sort(), lists, redefined: rest.redefined, selves, deletedHosts, arriving };
};

test("what changes for agents is the same from objects and from the inventories before and after", () =>
  fc.assert(
    fc.property(someChangeSets, (sets) => {
      const world = new Driven();
      for (const mutations of [furnished, ...sets]) {
        const before = world.state.pin();
        const changes = world.apply(mutations);
        if (!changes) continue;
        const { state: after, revision } = world;
        const range = atOnce(rangeChanges({ before, after, revision, changes }));
        expect(inShort(range)).toEqual(inShort(atOnce(bindingChanges(after, changes))));
        before.release();
      }
    }),
    { numRuns: runs(400) },
  ));

test("a host that asked learns when an unknown address is registered, however few unknown ones are remembered", () =>
  fc.assert(
    fc.property(someSteps, fc.constantFrom(0, 1, 2), (steps, maxUnknown) => {
      for (const { world, agents } of run(steps, maxUnknown)) {
        for (const agent of agents.values()) {
          for (const [text, answer] of agent.answers) {
            const fresh = answerFor(world.state, agent.host, answer.key, world.revision);
            // An unrequested tombstone may become stale; requested and known answers never may.
            if (answer.binding || agent.asked.has(text))
              expect(withoutRevision(answer)).toEqual(withoutRevision(fresh));
          }
        }
      }
    }),
    { numRuns: runs(200) },
  ));

test("a host never receives anything about a network without a VM of its own", () =>
  fc.assert(
    fc.property(someSteps, (steps) => {
      for (const { world, pushes } of run(steps)) {
        for (const [host, push] of pushes) {
          for (const { key } of push.answers) expect(findKnownNetwork(world.state, host, key.vni)).toBeDefined();
          for (const { name } of push.networks) expect(world.state.networksOn(host).has(name)).toBe(true);
        }
      }
    }),
    { numRuns: runs(200) },
  ));

test("a host receives changes of all keys in its interest, and of none that it has released", () =>
  fc.assert(
    fc.property(someSteps, someHost, someKey, (steps, host, key) => {
      for (const { interest, agents } of run([...steps, { kind: "release", host, key }])) {
        const agent = agents.get(host);
        for (const told of agent?.answers.values() ?? []) {
          if (told.binding && !told.binding.local) expect(interest.knows(host, told.key)).toBe(true);
        }
        if (agent?.answers.has(keyText(key)) === false) expect(interest.knows(host, key)).toBe(false);
      }
    }),
    { numRuns: runs(200) },
  ));

test("every host that receives a move must confirm it", () =>
  fc.assert(
    fc.property(someSteps, (steps) => {
      for (const { world, interest, pushes, changes } of run(steps)) {
        // Alone: what else changed may concern others.
        const moves = changes.length === 1 ? movesIn(changes) : [];
        if (moves.length === 0) continue;
        const holders = holdersOf(world.state, interest, moves);
        for (const host of pushes.keys()) expect(holders).toContain(host);
      }
    }),
    { numRuns: runs(200) },
  ));

const withoutReleases = someSteps.map((steps) => steps.filter(({ kind }) => kind === "mutate" || kind === "ask"));

test("a host that is not reached has the same interest as one that is, and no pushes", () =>
  fc.assert(
    fc.property(withoutReleases, someHost, (steps, unreached) => {
      const asleep = new InterestIndex();
      for (const { world, interest, agents, changes, concerned, step } of run(steps)) {
        if (concerned) {
          const reaches = (host: string) => host !== unreached;
          const pushes = atOnce(fanOut(world.state, asleep, concerned, world.revision, { reaches }));
          expect([...pushes.keys()]).not.toContain(unreached);
        }
        if (step.kind === "ask") new ModelAgent(step.host).ask(world, asleep, step.key);
        for (const vm of changes.flatMap(({ kind, after }) => (kind === "vm" && after ? [after] : []))) {
          for (const key of keysOfVm(world.state, vm)) {
            for (const host of agents.keys()) expect(asleep.knows(host, key)).toBe(interest.knows(host, key));
          }
        }
      }
    }),
    { numRuns: runs(300) },
  ));

test("parts of a push and the rest of it are the whole, however few answers wait", () =>
  fc.assert(
    fc.property(withoutReleases, fc.integer({ min: 1, max: 5 }), (steps, maxWaiting) => {
      const inParts = new InterestIndex();
      for (const { world, pushes, concerned, step } of run(steps)) {
        if (step.kind === "ask") new ModelAgent(step.host).ask(world, inParts, step.key);
        if (!concerned) continue;
        const sent = new Map<string, Push>();
        const take = (host: string, { networks, gone, answers, prepared, self }: Push) => {
          const all = pushOf(sent, host);
          all.networks.push(...networks);
          all.gone.push(...gone);
          all.answers.push(...answers);
          all.prepared.push(...prepared);
          if (self) all.self = self;
        };
        const rest = atOnce(fanOut(world.state, inParts, concerned, world.revision, { sendPart: take, maxWaiting }));
        const waiting = [...rest.values()].reduce((sum, { answers }) => sum + answers.length, 0);
        expect(waiting).toBeLessThan(maxWaiting);
        for (const [host, push] of rest) take(host, push);
        expect(sent).toEqual(pushes);
      }
    }),
    { numRuns: runs(300) },
  ));

test("a frame is never empty", () =>
  fc.assert(
    fc.property(someSteps, (steps) => {
      for (const { pushes } of run(steps)) {
        for (const { networks, gone, answers, prepared, self } of pushes.values()) {
          const items = networks.length + gone.length + answers.length + prepared.length;
          expect(items + (self ? 1 : 0)).toBeGreaterThan(0);
        }
      }
    }),
    { numRuns: runs(100) },
  ));
