// One guest's flood: first packets between another tenant's VMs in peace, during the flood and right after it. Their
// host is the flooding guest's, too.
import { toThousandths } from "../../../common/round.ts";
import { broadcastTable } from "../../../node-agent/guard/broadcast-rules.ts";
import { defaultCopiesPerSecond as copiesPerSecond } from "../../../node-agent/tables/broadcast.ts";
import { run } from "../../lab/command.ts";
import { broadcastMac } from "../../lab/frames.ts";
import { guestDevice } from "../../lab/guest.ts";
import type { Host } from "../../lab/host.ts";
import type { LabProcess } from "../../lab/process.ts";
import { pause, waitFor } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { Addresses, type Endpoint } from "../addresses.ts";
import { inGroups } from "../groups.ts";
import { modeNamed } from "../modes/all.ts";
import { cpuSeconds, peakRssMib, resetPeakRss } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { become } from "../quiet-guest.ts";
import { Stand } from "../stand.ts";
import { allowedCpus, planCpus } from "./cpus.ts";
import { CrewMember } from "./crew.ts";
import type { GuestAttack } from "./names.ts";
import type { Flood, GuestAttackerOrder } from "./programs/guest-attacker.ts";

export interface GuestTurns {
  readonly rounds: number;
  /** First packets in each turn. */
  readonly packets: number;
  readonly floodMs: number;
}

export interface GuestResult {
  readonly peace: Distribution;
  readonly during: Distribution;
  readonly after: Distribution;
  /** Of the agent whose guest floods. */
  readonly rssPeaceMib: number;
  readonly rssPeakMib: number;
  /** CPU seconds of all floods and of the time after them. */
  readonly agentCpuSeconds: number;
  readonly attackerCpuSeconds: number;
  readonly framesPerSecond: number;
  /** Of the flood's frames, to the network's other host; allowed were `maxCopies`. */
  readonly copies: number;
  readonly maxCopies: number;
}

/** The flooding guest's own network, of another tenant. */
const rogue = {
  name: "rogue",
  vni: 200,
  subnet: "10.200.0.0/16",
  mac: "52:54:02:00:00:01",
  ip: "10.200.0.1",
  otherMac: "52:54:02:00:00:02",
} as const;
/** Packets without an answer by then count with this time. */
const deadlineS = 2;
/** From one first packet to the next after a flood: late effects are measured as well. */
const afterEveryMs = 50;
/** Registered at the same time. */
const atOnce = 16;

/** Two VMs that have not met, on two hosts. */
type Pair = readonly [Endpoint, Endpoint];

/** Each round has its own lab: the effect of a flood on an agent may last longer than the next round's idle phase. */
export async function runGuestAttack(name: GuestAttack, turns: GuestTurns, progress: Progress): Promise<GuestResult> {
  const rounds: Round[] = [];
  while (rounds.length < turns.rounds) {
    const where = `${name}, round ${rounds.length + 1} of ${turns.rounds}`;
    rounds.push(await runRound(name, turns, (what) => progress(`${where}: ${what}`)));
  }
  const sum = (of: (round: Round) => number) => rounds.reduce((all, each) => all + of(each), 0);
  return {
    peace: distribution(rounds.flatMap(({ peaceMs }) => peaceMs)),
    during: distribution(rounds.flatMap(({ duringMs }) => duringMs)),
    after: distribution(rounds.flatMap(({ afterMs }) => afterMs)),
    rssPeaceMib: Math.min(...rounds.map(({ rssPeaceMib }) => rssPeaceMib)),
    rssPeakMib: Math.max(...rounds.map(({ rssPeakMib }) => rssPeakMib)),
    agentCpuSeconds: toThousandths(sum(({ agentCpuSeconds }) => agentCpuSeconds)),
    attackerCpuSeconds: toThousandths(sum(({ attackerCpuSeconds }) => attackerCpuSeconds)),
    copies: sum(({ copies }) => copies),
    maxCopies: sum(({ flood }) => copiesPerSecond + Math.ceil((copiesPerSecond * flood.ms) / 1_000)),
    framesPerSecond: Math.round((1_000 * sum(({ flood }) => flood.frames)) / sum(({ flood }) => flood.ms)),
  };
}

/** Times of first packets, ms, and their cost. */
interface Round {
  readonly peaceMs: readonly number[];
  readonly duringMs: readonly number[];
  readonly afterMs: readonly number[];
  readonly rssPeaceMib: number;
  readonly rssPeakMib: number;
  readonly agentCpuSeconds: number;
  readonly attackerCpuSeconds: number;
  readonly flood: Flood;
  readonly copies: number;
}

async function runRound(name: GuestAttack, turns: GuestTurns, progress: Progress): Promise<Round> {
  progress("building a lab");
  const stand = await Stand.build(modeNamed("nearmiss"), 2, [0, 1]);
  try {
    const cpus = planCpus(allowedCpus());
    const host = stand.lab.host("a");
    for (const each of [stand.lab.controller, ...stand.lab.hosts.map(({ agent }) => agent)]) {
      await pin(each, cpus.attacked);
    }
    const { attacker, ifindex } = await bootRogue(stand, host, cpus.attackers);
    try {
      const order: GuestAttackerOrder = { kind: "attack", name, ifindex, mac: rogue.mac, ip: rogue.ip };
      return await measure({ stand, attacker, order, pid: host.agent.pid ?? 0 }, turns, progress);
    } finally {
      await attacker.end();
    }
  } finally {
    await stand.remove();
  }
}

interface Scene {
  readonly stand: Stand;
  readonly attacker: CrewMember<GuestAttackerOrder>;
  readonly order: GuestAttackerOrder;
  /** Of the agent whose guest floods. */
  readonly pid: number;
}

async function measure(scene: Scene, { packets, floodMs }: GuestTurns, progress: Progress): Promise<Round> {
  const { stand, attacker, order, pid } = scene;
  const pairs = await registerPairs(stand, 1 + 3 * packets);
  // The very first packet includes one-time work of the process.
  await firstPackets(stand, pairs, { count: 1, everyMs: 0 });
  progress("in peace");
  resetPeakRss(pid);
  const peaceMs = await firstPackets(stand, pairs, { count: packets, everyMs: 0 });
  const rssPeaceMib = peakRssMib(pid);
  progress("flooded");
  resetPeakRss(pid);
  const [agentCpu, attackerCpu] = [cpuSeconds(pid), cpuSeconds(attacker.pid)];
  const copiedBefore = await copiesFrom(stand.lab.host("a"));
  await attacker.ask(order);
  const [duringMs] = await Promise.all([
    firstPackets(stand, pairs, { count: packets, everyMs: floodMs / packets, maxMs: floodMs }),
    pause(floodMs),
  ]);
  const flood = await attacker.ask<Flood>({ kind: "rest" });
  const copies = (await copiesFrom(stand.lab.host("a"))) - copiedBefore;
  progress("after the flood");
  const afterMs = await firstPackets(stand, pairs, { count: packets, everyMs: afterEveryMs, maxMs: floodMs });
  return {
    peaceMs,
    duringMs,
    afterMs,
    rssPeaceMib,
    rssPeakMib: peakRssMib(pid),
    agentCpuSeconds: cpuSeconds(pid) - agentCpu,
    attackerCpuSeconds: cpuSeconds(attacker.pid) - attackerCpu,
    flood,
    copies,
  };
}

/** Frames that a host has copied to its one destination, by the counter of its rules. */
async function copiesFrom(host: Host): Promise<number> {
  const text = await host.exec(["nft", "list", "counter", "bridge", broadcastTable, "copied"]);
  return Number(/packets (\d+)/.exec(text)?.[1]);
}

async function bootRogue({ lab }: Stand, host: Host, cpus: string) {
  const { name, vni, subnet, mac, ip } = rogue;
  await put(lab, `/v1/networks/${name}`, { vni, subnets: [subnet], broadcast: "replicate" });
  await put(lab, "/v1/vms/rogue-guest", { host: host.name, interfaces: [{ network: name, mac, ips: [ip] }] });
  // Another host for copies of broadcasts.
  const other = { network: name, mac: rogue.otherMac, ips: [] };
  await put(lab, "/v1/vms/rogue-other", { host: lab.host("b").name, interfaces: [other] });
  const guest = await host.addGuest({ name: "rogue-guest", vni, mac, ips: [`${ip}/16`] });
  await waitFor(
    async () => {
      const fdb = await host.exec(["bridge", "fdb", "show", "dev", `nmv${vni}`]);
      return fdb.includes(`${broadcastMac} dst `) || undefined;
    },
    { what: "the destination of broadcasts" },
  );
  const post = { namespace: guest.namespace, cpus, nice: 0 };
  const attacker = new CrewMember<GuestAttackerOrder>("guest-attacker", post);
  return { attacker, ifindex: await guest.ifindexOf(guestDevice) };
}

/** All its threads. */
async function pin({ pid }: LabProcess, cpus: string): Promise<void> {
  await run(["taskset", "--all-tasks", "--cpu-list", "--pid", cpus, String(pid)]);
}

/** All that will be needed, because a host under attack may take its time to take note. */
async function registerPairs(stand: Stand, count: number): Promise<Iterator<Pair>> {
  const addresses = new Addresses();
  const [from, to] = stand.lab.hosts;
  if (!from || !to) throw new Error("first packets need two hosts");
  const pairs = Array.from({ length: count }, (): Pair => [addresses.fresh(4), addresses.fresh(4)]);
  await inGroups(pairs, atOnce, ([asker, asked]) =>
    stand.mode.place(
      stand.lab,
      [
        { host: from, endpoint: asker },
        { host: to, endpoint: asked },
      ],
      [],
    ),
  );
  return pairs.values();
}

interface Pace {
  readonly count: number;
  readonly everyMs: number;
  /** None begins later than this. */
  readonly maxMs?: number;
}

/** @returns round trips, ms */
async function firstPackets(stand: Stand, pairs: Iterator<Pair>, { count, everyMs, maxMs }: Pace): Promise<number[]> {
  const [from, to] = stand.guests;
  if (!from || !to) throw new Error("first packets need two guests");
  const times: number[] = [];
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    const sinceMs = performance.now() - startMs;
    if (maxMs !== undefined && sinceMs > maxMs) break;
    if (sinceMs < i * everyMs) await pause(i * everyMs - sinceMs);
    const { value: pair, done } = pairs.next();
    if (done) throw new Error("more first packets than pairs were registered");
    await Promise.all([become(from, pair[0]), become(to, pair[1])]);
    const { rtts } = await from.ping(pair[1].ip, { count: 1, deadlineS });
    times.push(rtts[0] ?? deadlineS * 1_000);
  }
  return times;
}

async function put(lab: Stand["lab"], path: string, body: object): Promise<void> {
  const reply = await lab.api("PUT", path, body);
  if (reply.status >= 300) throw new Error(`${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
}
