// `reconcile`: what it costs an agent to compare everything that it holds with the kernel, beside `ip neigh show` and
// `bridge fdb show` of the same tables, turn by turn.
import { toThousandths } from "../../../common/round.ts";
import { ipBatch, run } from "../../lab/command.ts";
import { median } from "../../statistics.ts";
import { CoreHost, capsFor } from "../core-host.ts";
import type { Progress } from "../progress.ts";

export interface ReconcileOptions {
  /** Cached VMs of other hosts: each is a neighbour, a tunnel entry and a bridge entry. */
  readonly entries: number;
  readonly rounds: number;
}

/** Medians over the rounds, ms. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Of something that the agent does, which should leave it time for misses. */
export interface OwnCost extends Cost {
  /** Maximum time that it blocked the event loop: the longest delay of a miss during it. */
  readonly blockMs: number;
}

export interface ReconcileResult extends ReconcileOptions {
  /** In the kernel, all three tables together. */
  readonly kernelEntries: number;
  /** Nothing to repair. */
  readonly reconcile: OwnCost;
  /** The device was set down and up, which erases all neighbours. */
  readonly repair: OwnCost;
  readonly repaired: number;
  /** Both commands, with the start of their processes. */
  readonly dump: Cost;
  /** reconcile : dump */
  readonly ratio: Cost;
  /** block : wall of the same; 1 where nothing else has a turn */
  readonly blocked: { readonly reconcile: number; readonly repair: number };
}

export async function reconcileBench(options: ReconcileOptions, progress: Progress): Promise<ReconcileResult> {
  const { entries, rounds } = options;
  progress(`${entries} VMs into the kernel`);
  const host = await CoreHost.start(entries, { caps: capsFor(entries) });
  try {
    const kernelEntries = await host.entries();
    await host.reconcile();
    const reconciles: OwnCost[] = [];
    const repairs: OwnCost[] = [];
    const dumps: Cost[] = [];
    for (let n = 0; n < rounds; n++) {
      progress(`round ${n + 1} of ${rounds}`);
      reconciles.push(await ownCost(() => host.reconcile()));
      dumps.push(await dumpCost(host));
    }
    const before = host.repairs;
    if (before > 0)
      throw new Error(`${before} entries differed from the cached answers: no other program should change them`);
    progress("with all neighbours erased");
    for (let n = 0; n < Math.ceil(rounds / 4); n++) {
      await ipBatch([`link set ${host.device} down`, `link set ${host.device} up`], host.namespace);
      repairs.push(await ownCost(() => host.reconcile()));
    }
    const [reconcile, repair, dump] = [middleOfOwn(reconciles), middleOfOwn(repairs), middle(dumps)];
    return {
      ...options,
      kernelEntries,
      reconcile,
      repair,
      repaired: Math.round(host.repairs / repairs.length),
      dump,
      ratio: {
        wallMs: toThousandths(reconcile.wallMs / dump.wallMs),
        cpuMs: toThousandths(reconcile.cpuMs / dump.cpuMs),
      },
      blocked: {
        reconcile: toThousandths(reconcile.blockMs / reconcile.wallMs),
        repair: toThousandths(repair.blockMs / repair.wallMs),
      },
    };
  } finally {
    await host.remove();
  }
}

async function ownCost(act: () => Promise<void>): Promise<OwnCost> {
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  const blockMs = await longestBlock(act);
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - startMs, cpuMs: (user + system) / 1_000, blockMs };
}

/** Longest time between two turns of the event loop. Node's own monitor misses a block that begins right after a reset. */
async function longestBlock(act: () => Promise<void>): Promise<number> {
  let lastMs = performance.now();
  let longestMs = 0;
  let next: NodeJS.Immediate | undefined;
  const turn = () => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  await act();
  turn();
  clearImmediate(next);
  return longestMs;
}

/** bash's own `time` measures the two processes: user, system and elapsed seconds. */
async function dumpCost({ namespace, device }: CoreHost): Promise<Cost> {
  const commands = `ip -n ${namespace} neigh show dev ${device}; bridge -n ${namespace} fdb show dev ${device}`;
  const script = `TIMEFORMAT='%3U %3S %3R'; time { ${commands}; } >/dev/null`;
  const text = await run(["bash", "-c", `{ ${script}; } 2>&1`]);
  const [user, system, elapsed] = text.trim().split(" ").map(Number);
  if (user === undefined || system === undefined || elapsed === undefined) throw new Error(`no times: ${text}`);
  return { wallMs: elapsed * 1_000, cpuMs: (user + system) * 1_000 };
}

function middle(costs: readonly Cost[]): Cost {
  return {
    wallMs: toThousandths(median(costs.map(({ wallMs }) => wallMs))),
    cpuMs: toThousandths(median(costs.map(({ cpuMs }) => cpuMs))),
  };
}

function middleOfOwn(costs: readonly OwnCost[]): OwnCost {
  return { ...middle(costs), blockMs: toThousandths(median(costs.map(({ blockMs }) => blockMs))) };
}
