// `abuse`: the effect of each attack on other clients.
import type { Progress } from "../progress.ts";
import { Arena } from "./arena.ts";
import { type ControllerResult, runControllerAttack, type Turns } from "./controller-attack.ts";
import { allowedCpus, type Cpus, planCpus } from "./cpus.ts";
import { type GuestResult, runGuestAttack } from "./guest-attack.ts";
import { type AttackName, type ControllerAttack, controllerAttackNames, type GuestAttack } from "./names.ts";
import { type Ceilings, judgeController, judgeGuest } from "./verdict.ts";

export const details =
  "Attackers have a processor of their own and send as fast as they can. With two processors, honest clients share the attackers' " +
  "at a higher priority. On a controller the attackers take turns: at a server on the controller's processor, which accepts TLS " +
  "and WebSockets and discards what it reads (control), and at the controller (attacked). The ceilings compare p99 of an honest " +
  "operator's reads, writes and new connections and of an honest host's questions, attacked with control; imports must succeed " +
  "within 10 s, and under slow-import they are compared too; memory and the time back are compared with peace. Floods of a guest " +
  "compare first packets of another tenant on the same host, during and right after the flood, with those in peace. Exit status 3: " +
  "beyond a ceiling.";

export interface AbuseOptions {
  readonly attacks: readonly AttackName[];
  readonly rounds: number;
  /** ms. */
  readonly turn: number;
  /** ms. */
  readonly grow: number;
  readonly vms: number;
  readonly files: number;
  readonly rate: number;
  readonly connections: number;
  readonly keys: number;
  readonly "held-keys": number;
  readonly questions: number;
  readonly sockets: number;
  readonly idle: number;
  readonly logs: number;
  readonly "import-mib": number;
  readonly packets: number;
  /** Seconds. */
  readonly flood: number;
  readonly ratio: number;
  /** ms. */
  readonly slack: number;
  /** MiB. */
  readonly memory: number;
  /** Seconds. */
  readonly back: number;
  readonly "first-packets": number;
}

interface Judged {
  readonly name: AttackName;
  /** The exceeded ceilings; empty: passed. */
  readonly faults: readonly string[];
}

export type ControllerAttackResult = Judged & { readonly on: "controller" } & ControllerResult;
export type GuestAttackResult = Judged & { readonly on: "host" } & GuestResult;

export interface AbuseResult extends Omit<AbuseOptions, "attacks"> {
  readonly attacks: readonly (ControllerAttackResult | GuestAttackResult)[];
  readonly cpus: Cpus;
}

export async function abuseBench(options: AbuseOptions, progress: Progress): Promise<AbuseResult> {
  const ceilings: Ceilings = {
    ratio: options.ratio,
    slackMs: options.slack,
    memoryMib: options.memory,
    backMs: options.back * 1_000,
    firstPackets: options["first-packets"],
  };
  const attacks = [
    ...(await controllerAttacks(options, ceilings, progress)),
    ...(await guestAttacks(options, ceilings, progress)),
  ];
  return { ...options, attacks, cpus: planCpus(allowedCpus()) };
}

async function controllerAttacks(
  options: AbuseOptions,
  ceilings: Ceilings,
  progress: Progress,
): Promise<ControllerAttackResult[]> {
  const chosen = options.attacks.filter(isOnController);
  if (chosen.length === 0) return [];
  const turns: Turns = {
    rounds: options.rounds,
    turnMs: options.turn,
    growMs: options.grow,
    settleMs: options.turn / 8,
    patienceMs: 3 * ceilings.backMs,
  };
  const arena = await Arena.build({ vms: options.vms, files: options.files, sizes: sizesOf(options) }, progress);
  try {
    const results: ControllerAttackResult[] = [];
    for (const name of chosen) {
      const result = await runControllerAttack(arena, name, turns, progress);
      results.push({ name, on: "controller", faults: judgeController(name, result, ceilings), ...result });
    }
    return results;
  } finally {
    await arena.remove();
  }
}

async function guestAttacks(
  options: AbuseOptions,
  ceilings: Ceilings,
  progress: Progress,
): Promise<GuestAttackResult[]> {
  const { rounds, packets, flood } = options;
  const results: GuestAttackResult[] = [];
  for (const name of options.attacks.filter((each): each is GuestAttack => !isOnController(each))) {
    const result = await runGuestAttack(name, { rounds, packets, floodMs: flood * 1_000 }, progress);
    results.push({ name, on: "host", faults: judgeGuest(result, ceilings), ...result });
  }
  return results;
}

function isOnController(name: AttackName): name is ControllerAttack {
  return (controllerAttackNames as readonly string[]).includes(name);
}

function sizesOf(options: AbuseOptions) {
  const { rate, connections, keys, questions, sockets, idle, logs } = options;
  const { "held-keys": heldKeys, "import-mib": importMib } = options;
  return { rate, connections, keys, heldKeys, questions, sockets, idle, logs, importMib };
}
