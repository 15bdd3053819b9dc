// One trial: a pair of new VMs, and the round trip of the first packet between them.
import { pause } from "../../lab/wait.ts";
import type { Addresses, Family } from "../addresses.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Actor, Stand } from "../stand.ts";
import { MissCount } from "./miss-count.ts";

export interface Trial {
  readonly mode: ModeName;
  readonly family: Family;
  /** A packet without answer counts with the deadline: it took at least that long. */
  readonly timeMs: number;
  /** Queries that the controller answered in that time; 0 without a controller. */
  readonly resolves: number;
  /** Misses of the two VMs' addresses in that time, where nothing should be missed; null: not counted. */
  readonly misses: number | null;
}

/** The hooks around the measured packet: all is registered by `begin`, and `end` follows the answer. */
export interface Around {
  begin(): void | Promise<void>;
  end(from: Actor): void | Promise<void>;
}

const deadlineS = 5;
/** Longer than any period of the agent that could interfere with the trials, except for its housekeeping. */
const maxPhaseMs = 20;
const maxAttempts = 10;

/**
 * Repeats invalid trials: one in which the controller answered nothing was not cold.
 * @throws Error if that continues
 */
export async function runTrial(stand: Stand, family: Family, addresses: Addresses, around?: Around): Promise<Trial> {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const trial = await attemptTrial(stand, family, addresses, around);
    if (stand.mode.resolves === undefined || trial.resolves > 0) return trial;
  }
  throw new Error(`${stand.mode.name}: the controller was not asked in ${maxAttempts} trials, so they were not cold`);
}

async function attemptTrial(stand: Stand, family: Family, addresses: Addresses, around?: Around): Promise<Trial> {
  const target = addresses.fresh(family);
  const [from] = await stand.recast([addresses.fresh(family), target]);
  if (!from) throw new Error("a trial needs two guests");
  const before = (await stand.resolves()) ?? 0;
  await stand.mode.begin?.(stand.lab);
  await pause(Math.random() * maxPhaseMs);
  await around?.begin();
  const isPrefetched = stand.mode.name === "prefetch";
  const watch = isPrefetched ? new MissCount(stand.lab.hosts, [from.endpoint.ip, target.ip]) : undefined;
  const result = await from.guest.ping(target.ip, { count: 1, deadlineS });
  const misses = (await watch?.end()) ?? null;
  await around?.end(from);
  await stand.mode.end?.(stand.lab);
  const after = (await stand.resolves()) ?? 0;
  const [timeMs = deadlineS * 1_000] = result.rtts;
  return { mode: stand.mode.name, family, timeMs, resolves: after - before, misses };
}
