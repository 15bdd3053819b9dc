// The hand-over between the thread for networks in memory and the main thread: what the thread writes by an older table ends with what the newest
// says, and no revision is confirmed before that. Look-up, core and tables are real; when anything takes effect is up to a scheduler.
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { defaultCaps } from "../../node-agent/tables/ageing.ts";
import type { Entry } from "../../node-agent/tables/entry.ts";
import { type AgentNetwork, type Answer, type BindingKey, keyText } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { runs } from "../support/property-runs.ts";
import { ScheduledAgent, ScheduledKernel } from "../support/scheduled-host.ts";

const blue = vni(100);
const network: AgentNetwork = { name: "blue", vni: blue, mtu: 1450, revision: rev(1), knowledge: "replicate" };
const hosts = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(vtep);
const macs = [1, 2, 3].map((n) => mac(`52:54:00:00:00:0${n}`));
const ips = ["10.0.0.2", "10.0.0.3", "fd00::2"].map(ip);

/** An interface with one address, in turns on other hosts, on this one, and nowhere. */
interface Change {
  readonly ip: number;
  readonly mac: number;
  /** 0: this host; undefined: it is deleted. */
  readonly host: number | undefined;
}

const someChange: fc.Arbitrary<Change> = fc.record({
  ip: fc.nat(ips.length - 1),
  mac: fc.nat(macs.length - 1),
  host: fc.option(fc.nat(hosts.length - 1), { nil: undefined }),
});
const someSteps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: someChange.map((change) => ({ change })) },
    { weight: 3, arbitrary: fc.nat(ips.length - 1).map((miss) => ({ miss })) },
  ),
  { minLength: 4, maxLength: 24 },
);

class World {
  private revision = 4;
  /** By key, what was registered from which revision on. */
  private readonly history = new Map<string, { readonly since: number; readonly answer: Answer }[]>();
  private readonly kernel: ScheduledKernel;
  private readonly agent: ScheduledAgent;
  private id = 0;
  readonly wrong: string[] = [];
  confirmed = 0;

  constructor(scheduler: fc.Scheduler) {
    this.kernel = new ScheduledKernel(scheduler);
    const channel = { isLive: true, send: (frame: AgentFrame) => this.onFrame(frame) };
    this.agent = new ScheduledAgent("a", this.kernel, channel, defaultCaps);
  }

  async begin(): Promise<void> {
    const { session } = this.agent;
    const asOf = rev(this.revision);
    const local = { vtep: hosts[0] ?? vtep("192.0.2.1"), vtepPort: 4789 };
    session.onWelcome({ type: "welcome", protocol: 2, epoch: "one", asOf, host: "a", ...local });
    const own: Answer = {
      key: { kind: "mac", vni: blue, mac: mac("52:54:00:00:00:aa") },
      revision: rev(1),
      binding: { mac: mac("52:54:00:00:00:aa"), host: "a", ...local, local: true },
    };
    session.onSnapshot({ type: "snapshot", asOf, networks: [network], answers: [own], end: true });
    session.onBase({ type: "base", id: this.id, asOf, vni: blue, answers: [], end: true });
  }

  change({ ip: ipAt, mac: macAt, host }: Change): void {
    this.revision += 1;
    const revision = rev(this.revision);
    const keys: BindingKey[] = [
      { kind: "ip", vni: blue, ip: ips[ipAt] ?? ip("10.0.0.2") },
      { kind: "mac", vni: blue, mac: macs[macAt] ?? mac("52:54:00:00:00:01") },
    ];
    // A MAC's interface is where the last change has put it, for all its addresses.
    const isOfMac = ({ answer }: { answer: Answer }) => answer.binding?.mac === macs[macAt];
    for (const text of this.history.keys()) {
      const last = this.history.get(text)?.at(-1);
      if (last && isOfMac(last) && !keys.some((key) => keyText(key) === text)) keys.push(last.answer.key);
    }
    const where = host === undefined ? undefined : hosts[host];
    const binding = where && {
      mac: macs[macAt] ?? mac("52:54:00:00:00:01"),
      host: host === 0 ? "a" : "b",
      vtep: where,
      vtepPort: 4789,
      ...(host === 0 ? { local: true as const } : {}),
    };
    const answers = keys.map((key): Answer => ({ key, revision, binding: binding ?? null }));
    for (const answer of answers) {
      const text = keyText(answer.key);
      this.history.set(text, [...(this.history.get(text) ?? []), { since: revision, answer }]);
    }
    const { session } = this.agent;
    session.onDelta({ type: "delta", asOf: revision, vni: blue, answers });
    // This host's own VMs, and those that it has asked for, are in `changes` as well.
    const inChanges = answers.filter(({ key, binding: bound }) => bound?.local || this.agent.held.find(key));
    session.onChanges({ type: "changes", asOf: revision, networks: [], gone: [], answers: inChanges, end: true });
  }

  miss(at: number): void {
    this.agent.miss({ kind: "ip", vni: blue, ip: ips[at] ?? ip("10.0.0.2") });
  }

  get answers(): number {
    return this.agent.thread.answers;
  }

  async entries(): Promise<Entry[]> {
    return (await this.kernel.present(blue)).map(({ entry }) => entry);
  }

  /** The kernel has what is desired, and no entry that is not registered now. */
  async expectTrue(): Promise<void> {
    const entries = await this.entries();
    const text = (each: Entry) => JSON.stringify(each);
    expect(entries.map(text).sort()).toEqual([...this.agent.held.desired(blue).values()].map(text).sort());
    expect(entries.filter((entry) => !this.isTrueSince(entry, this.revision))).toEqual([]);
    expect(this.wrong).toEqual([]);
    this.agent.kill();
  }

  private onFrame(frame: AgentFrame): boolean {
    if (frame.type === "subscribe") this.id = frame.id;
    if (frame.type === "applied") {
      this.confirmed = frame.revision;
      const at = this.kernel.presentNow(blue);
      for (const { entry } of at)
        if (!this.isTrueSince(entry, frame.revision)) this.wrong.push(`${JSON.stringify(entry)} at ${frame.revision}`);
    }
    return true;
  }

  /** The entry is what was registered at `revision`, or at a later one. */
  private isTrueSince(entry: Entry, revision: number): boolean {
    const key: BindingKey =
      entry.kind === "neighbour" ? { kind: "ip", vni: blue, ip: entry.ip } : { kind: "mac", vni: blue, mac: entry.mac };
    const steps = this.history.get(keyText(key)) ?? [];
    const first = steps.findLastIndex(({ since }) => since <= revision);
    return steps.slice(Math.max(0, first)).some(({ answer: { binding } }) => {
      if (!binding || binding.local || binding.mac !== entry.mac) return false;
      return entry.kind !== "tunnel" || binding.vtep === entry.vtep;
    });
  }
}

const oneRound = async (task: () => Promise<void>): Promise<void> => {
  await task();
  await new Promise<void>((resolve) => setImmediate(resolve));
};

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

test("what the thread writes by an older table ends with what the newest says, before that is confirmed", async () => {
  const cases = runs(400);
  let answers = 0;
  let confirmed = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler({ act: oneRound }), someSteps, async (scheduler, steps) => {
      const world = new World(scheduler);
      await world.begin();
      await scheduler.waitIdle();
      await new Promise<void>((resolve) => setImmediate(resolve));
      scheduler.scheduleSequence(
        steps.map((step) => async () => ("change" in step ? world.change(step.change) : world.miss(step.miss))),
      );
      do {
        await scheduler.waitIdle();
        await new Promise<void>((resolve) => setImmediate(resolve));
      } while (scheduler.count() > 0);
      await world.expectTrue();
      answers += world.answers;
      confirmed += world.confirmed;
      vi.clearAllTimers();
    }),
    { numRuns: cases },
  );
  expect(answers).toBeGreaterThan(cases / 4);
  expect(confirmed).toBeGreaterThan(0);
});
