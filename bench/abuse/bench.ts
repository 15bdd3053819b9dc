// `abuse`: what honest clients of a controller feel of each attack.
import type { Progress } from "../progress.ts";
import { Arena } from "./arena.ts";
import { type ControllerResult, runControllerAttack, type Turns } from "./controller-attack.ts";
import type { AttackName } from "./names.ts";
import { type Ceilings, judgeController } from "./verdict.ts";

export const aboutAbuse =
  "what honest clients of a controller feel of each attack. Attackers have a processor of their own and send as " +
  "fast as they can, in turns: to a server that accepts TLS and WebSockets and discards what it reads, on the processor of the " +
  "controller (control), and to the controller (attacked). p99 of an honest operator's reads, writes, new connections and " +
  "imports, and of an honest host's questions are compared between the two; memory and the way back with peace.";

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
  readonly ratio: number;
  /** ms. */
  readonly slack: number;
  /** MiB. */
  readonly memory: number;
  /** Seconds. */
  readonly back: number;
}

interface Judged {
  readonly name: AttackName;
  /** Beyond which ceilings; empty: all holds. */
  readonly faults: readonly string[];
}

export type ControllerAttackResult = Judged & { readonly on: "controller" } & ControllerResult;

export interface AbuseResult extends Omit<AbuseOptions, "attacks"> {
  readonly attacks: readonly ControllerAttackResult[];
  /** Processors, as taskset(1) takes them. */
  readonly cpus: Arena["cpus"];
}

export async function abuseBench(options: AbuseOptions, progress: Progress): Promise<AbuseResult> {
  const ceilings: Ceilings = {
    ratio: options.ratio,
    slackMs: options.slack,
    memoryMib: options.memory,
    backMs: options.back * 1_000,
  };
  const turns: Turns = {
    rounds: options.rounds,
    turnMs: options.turn,
    growMs: options.grow,
    settleMs: options.turn / 8,
    patienceMs: 3 * ceilings.backMs,
  };
  const arena = await Arena.build({ vms: options.vms, files: options.files, sizes: sizesOf(options) }, progress);
  try {
    const attacks: ControllerAttackResult[] = [];
    for (const name of options.attacks) {
      const result = await runControllerAttack(arena, name, turns, progress);
      attacks.push({ name, on: "controller", faults: judgeController(name, result, ceilings), ...result });
    }
    return { ...options, attacks, cpus: arena.cpus };
  } finally {
    await arena.remove();
  }
}

function sizesOf(options: AbuseOptions) {
  const { rate, connections, keys, questions, sockets, idle, logs } = options;
  const { "held-keys": heldKeys, "import-mib": importMib } = options;
  return { rate, connections, keys, heldKeys, questions, sockets, idle, logs, importMib };
}
