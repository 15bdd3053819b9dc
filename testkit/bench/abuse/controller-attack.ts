// One attack on a controller, in turns: in peace, with the attackers busy at the server that discards, attacked; and after each
// attack the way back to peace.
import { availableParallelism } from "node:os";
import { toThousandths } from "../../../common/round.ts";
import { pause } from "../../lab/wait.ts";
import { distribution, median, percentile } from "../../statistics.ts";
import { cpuSeconds, machineCpuSeconds, peakRssMib, resetPeakRss } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { type Arena, discardTarget, target } from "./arena.ts";
import type { Tally } from "./attacks/attack.ts";
import type { ControllerAttack } from "./names.ts";
import type { Cut } from "./samples.ts";
import { type Distributions, type Operation, operations } from "./verdict.ts";

export interface Turns {
  readonly rounds: number;
  readonly turnMs: number;
  /** How long an attack may take to its full size, ms. */
  readonly growMs: number;
  /** From there until it is measured, ms. */
  readonly settleMs: number;
  /** How long peace is waited for, ms. */
  readonly patienceMs: number;
}

/** CPU seconds of a turn, by process, summed over the rounds. */
export interface Cpu {
  readonly controller: number;
  readonly discard: number;
  readonly attackers: number;
  readonly honest: number;
  /** Of all other processes of the machine: where they take much, the figures are of little use. */
  readonly others: number;
}

export interface ControllerResult {
  readonly peace: Distributions;
  readonly control: Distributions;
  readonly attacked: Distributions;
  readonly failures: Readonly<Record<string, number>>;
  readonly cpu: { readonly peace: Cpu; readonly control: Cpu; readonly attacked: Cpu };
  /** The share of the machine's CPU time in all turns, 0 … 1, that was used by processes outside the bench. */
  readonly othersShare: number;
  /** At most until the first attack, MiB. */
  readonly rssPeaceMib: number;
  /** At most under attack and until peace was back, MiB. */
  readonly rssPeakMib: number;
  readonly backMs: number | null;
  readonly ended: boolean;
  /** The attackers' requests and answers, at the server that discards and at the controller. */
  readonly tally: { readonly control: Tally; readonly attacked: Tally };
}

/** The count that proves that an attack is effective: without it a control run proves nothing. */
const proofs: Readonly<Record<ControllerAttack, string>> = {
  strangers: "answered 200",
  "hold-ipv4": "handshakes",
  "hold-ipv6": "handshakes",
  "handshakes-ipv4": "handshakes answered",
  "handshakes-ipv6": "handshakes answered",
  interest: "frames",
  questions: "frames",
  reports: "frames",
  "slow-reader": "frames",
  "silent-sockets": "channels",
  "idle-connections": "answered 200",
  "slow-import": "imports begun",
  log: "answered 200",
  "dry-run": "answered 200",
};

/** Peace is back when the honest are in a window as long as this. */
const windowMs = 500;
/** … in which the median of each operation is at most so many times p99 before the attack, and none fails. */
const calmRatio = 2;

const phases = ["peace", "control", "attacked"] as const;
type Phase = (typeof phases)[number];

export async function runControllerAttack(
  arena: Arena,
  name: ControllerAttack,
  turns: Turns,
  progress: Progress,
): Promise<ControllerResult> {
  const attacker = arena.startAttacker();
  const controller = await arena.startController();
  const pid = controller.pid ?? 0;
  const cuts: Record<Phase, Cut[]> = { peace: [], control: [], attacked: [] };
  const cpu: Record<Phase, Cpu[]> = { peace: [], control: [], attacked: [] };
  const tally: Record<Phase, Tally> = { peace: {}, control: {}, attacked: {} };
  let rssPeaceMib = 0;
  let rssPeakMib = 0;
  let backMs: number | null = 0;
  let ended = false;

  const spent = (): Cpu => {
    const own = {
      controller: cpuSeconds(pid),
      discard: cpuSeconds(arena.discard.pid),
      attackers: cpuSeconds(attacker.pid),
      honest: cpuSeconds(arena.operator.pid) + cpuSeconds(arena.host.pid),
    };
    return { ...own, others: machineCpuSeconds() - own.controller - own.discard - own.attackers - own.honest };
  };
  const turn = async (phase: Phase): Promise<void> => {
    await pause(turns.settleMs);
    void cutBoth(arena);
    const before = spent();
    await pause(turns.turnMs);
    const after = spent();
    const cut = cutBoth(arena);
    cpu[phase].push(minus(after, before));
    if (phase !== "peace") tally[phase] = sum(tally[phase], await attacker.ask<Tally>({ kind: "rest" }));
    const attackEndMs = performance.now();
    if (phase === "attacked") {
      const back = await waitForPeace(arena, [cuts.peace, cuts.control], attackEndMs, turns.patienceMs);
      backMs = back === null || backMs === null ? null : Math.max(backMs, back);
    }
    cuts[phase].push(await cut);
  };
  const attack = (phase: "control" | "attacked") =>
    attacker.ask({
      kind: "attack",
      name,
      target: phase === "control" ? discardTarget : target,
      means: arena.means,
      growMs: turns.growMs,
    });

  try {
    await arena.beginHonest();
    for (let round = 1; round <= turns.rounds; round++) {
      const where = `${name}, round ${round} of ${turns.rounds}`;
      progress(`${where}: in peace`);
      await turn("peace");
      progress(`${where}: control`);
      await attack("control");
      await turn("control");
      if (!tally.control[proofs[name]]) throw new Error(`${name} did nothing to the server that discards`);
      // Until the first attack: a heap grows for some time after the start, and after an attack it is no longer
      // comparable.
      if (round === 1) rssPeaceMib = peakRssMib(pid);
      progress(`${where}: attacked`);
      resetPeakRss(pid);
      await attack("attacked");
      await turn("attacked");
      rssPeakMib = Math.max(rssPeakMib, peakRssMib(pid));
      if (backMs === null) break;
    }
  } catch (error) {
    if (controller.running) throw error;
    ended = true;
  } finally {
    await attacker.end();
    await arena.endHonest();
    await controller.stop("SIGKILL");
  }
  return {
    peace: summarize(cuts.peace),
    control: summarize(cuts.control),
    attacked: summarize(cuts.attacked),
    failures: cuts.attacked.reduce<Tally>((all, { failures }) => sum(all, failures), {}),
    othersShare: othersShare([...cpu.peace, ...cpu.control, ...cpu.attacked], turns.turnMs),
    cpu: { peace: total(cpu.peace), control: total(cpu.control), attacked: total(cpu.attacked) },
    rssPeaceMib,
    rssPeakMib,
    backMs,
    ended,
    tally: { control: tally.control, attacked: tally.attacked },
  };
}

async function cutBoth({ operator, host }: Arena): Promise<Cut> {
  const [ofOperator, ofHost] = await Promise.all([operator.ask<Cut>({ kind: "cut" }), host.ask<Cut>({ kind: "cut" })]);
  return {
    times: { ...ofOperator.times, ...ofHost.times },
    failures: { ...ofOperator.failures, ...ofHost.failures },
  };
}

/**
 * @param usual phases without an attack on the controller; the slowest of them counts, since the machine also has other
 * work
 * @returns ms from `sinceMs` until the first window as fast as those; null: none in time
 */
async function waitForPeace(
  arena: Arena,
  usual: readonly (readonly Cut[])[],
  sinceMs: number,
  patienceMs: number,
): Promise<number | null> {
  const usualTimes = usual.map(timesOf);
  const usualMs = (operation: Operation) =>
    Math.max(...usualTimes.map((times) => percentile(times[operation] ?? [], 0.99)));
  const isCalm = ({ times, failures }: Cut) =>
    Object.keys(failures).length === 0 &&
    operations.every((operation) => {
      const own = times[operation] ?? [];
      return own.length > 0 && median(own) <= calmRatio * usualMs(operation);
    });
  // Samples that began during the attack do not belong to this window.
  void cutBoth(arena);
  for (;;) {
    const beginMs = performance.now();
    if (beginMs - sinceMs > patienceMs) return null;
    await pause(windowMs);
    if (isCalm(await cutBoth(arena))) return Math.round(beginMs - sinceMs);
  }
}

function timesOf(cuts: readonly Cut[]): Readonly<Partial<Record<Operation, readonly number[]>>> {
  return Object.fromEntries(
    operations.map((operation) => [operation, cuts.flatMap(({ times }) => times[operation] ?? [])]),
  );
}

function summarize(cuts: readonly Cut[]): Distributions {
  const some = Object.entries(timesOf(cuts)).filter(([, times]) => times.length > 0);
  return Object.fromEntries(some.map(([operation, times]) => [operation, distribution(times)]));
}

function sum(a: Readonly<Tally>, b: Readonly<Tally>): Tally {
  const all = { ...a };
  for (const [what, count] of Object.entries(b)) all[what] = (all[what] ?? 0) + count;
  return all;
}

function othersShare(all: readonly Cpu[], turnMs: number): number {
  const seconds = (all.length * turnMs * availableParallelism()) / 1_000;
  return toThousandths(all.reduce((sum, { others }) => sum + others, 0) / seconds);
}

function minus(a: Cpu, b: Cpu): Cpu {
  return {
    controller: a.controller - b.controller,
    discard: a.discard - b.discard,
    attackers: a.attackers - b.attackers,
    honest: a.honest - b.honest,
    others: a.others - b.others,
  };
}

function total(turns: readonly Cpu[]): Cpu {
  const of = (who: keyof Cpu) => toThousandths(turns.reduce((all, each) => all + each[who], 0));
  return {
    controller: of("controller"),
    discard: of("discard"),
    attackers: of("attackers"),
    honest: of("honest"),
    others: of("others"),
  };
}
