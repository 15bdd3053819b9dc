// `lookup`: what agents ask of a controller, many questions in a frame and one, and what operators ask over HTTP, in inventories of
// several sizes; beside stock Fastify, a bare `ws` echo and an echo in C. All in turns, with the clients in a process of their own.
import { join } from "node:path";
import { toThousandths } from "../../../common/round.ts";
import { median } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import { BenchController } from "../controller.ts";
import { fleetImports } from "../made-up-fleet.ts";
import { NativeProgram } from "../native/native.ts";
import type { Progress } from "../progress.ts";
import { ServerProcess } from "../server-process.ts";
import { hostsFor } from "./inventory.ts";
import { type Kind, type Turn, takeTurn } from "./side.ts";

export interface LookupOptions {
  /** VMs in the inventory, one size after the other. */
  readonly vms: readonly number[];
  readonly rounds: number;
  /** Length of a turn, ms. */
  readonly turn: number;
  readonly bounds: LookupBounds;
}

/** Least ratios of answers in a CPU second. */
interface LookupBounds {
  readonly many: number;
  readonly one: number;
  readonly get: number;
}

const sideNames = ["many", "one", "get", "stock", "ws", "native"] as const;
type SideName = (typeof sideNames)[number];

export interface SizeResult {
  readonly vms: number;
  /** Medians of all rounds; without `native` where nothing compiles it. */
  readonly sides: Readonly<Partial<Record<SideName, Turn>>>;
  /** Of answers in a CPU second. */
  readonly ratios: {
    readonly manyToStock: number;
    readonly oneToWs: number;
    readonly oneToNative: number | null;
    readonly getToStock: number;
  };
}

export interface LookupResult {
  readonly rounds: number;
  readonly turn: number;
  readonly perFrame: number;
  readonly sizes: readonly SizeResult[];
  readonly missed: readonly string[];
}

interface Side {
  readonly server: { readonly port: number; readonly pid: number };
  readonly kind: Kind;
  readonly perFrame: number;
}

const perFrame = 64;
/** So that one address may have all connections, and ask as often as it can. */
const manyClients = ["--rate-limit", "100000", "--stranger-connections", "4000"];
/** The processes are new, and what runs for the first time is slow. */
const warmUpMs = 1_000;

export async function lookupBench(options: LookupOptions, progress: Progress): Promise<LookupResult> {
  const { rounds, turn, bounds } = options;
  const native = await NativeProgram.compile("echo");
  const others: ServerProcess[] = [];
  const start = async (what: string, ...command: [string, ...string[]]): Promise<ServerProcess> => {
    const server = await ServerProcess.start(what, command);
    others.push(server);
    return server;
  };
  try {
    const stock = await start("stock Fastify", process.execPath, join(import.meta.dirname, "stock-server.js"));
    const ws = await start("the bare ws", process.execPath, join(import.meta.dirname, "echo-server.js"));
    const floor = native && (await start("the echo in C", native.path));
    const opponents: Partial<Record<SideName, Side>> = {
      stock: { server: stock, kind: "http", perFrame: 1 },
      ws: { server: ws, kind: "ws", perFrame: 1 },
      ...(floor ? { native: { server: floor, kind: "bytes", perFrame: 1 } } : {}),
    };
    const sizes: SizeResult[] = [];
    for (const vms of options.vms) sizes.push(await measureSize(vms, opponents, options, progress));
    return { rounds, turn, perFrame, sizes, missed: sizes.flatMap((size) => missedBy(size, bounds)) };
  } finally {
    for (const server of others) server.stop();
    native?.remove();
  }
}

async function measureSize(
  vms: number,
  opponents: Partial<Record<SideName, Side>>,
  { rounds, turn }: LookupOptions,
  progress: Progress,
): Promise<SizeResult> {
  const controller = await BenchController.start("open", manyClients);
  try {
    progress(`${vms} VMs: import`);
    for (const lines of fleetImports({ vms, hosts: hostsFor(vms) })) await controller.import(lines);
    const server = { port: Number(controller.base.split(":")[1]), pid: controller.pid };
    const sides = Object.entries<Side>({
      many: { server, kind: "agent", perFrame },
      one: { server, kind: "agent", perFrame: 1 },
      get: { server, kind: "http", perFrame: 1 },
      ...opponents,
    }) as [SideName, Side][];
    const take = ({ server: { port, pid }, kind, perFrame }: Side, ms: number) =>
      takeTurn({ port, kind, perFrame, vms, ms }, pid);
    progress(`${vms} VMs: warming up`);
    for (const [, side] of sides) await take(side, warmUpMs);
    const turns = new Map<SideName, Turn[]>(sides.map(([name]) => [name, []]));
    for (let n = 1; n <= rounds; n++) {
      for (const [name, side] of sides) {
        progress(`${vms} VMs, round ${n} of ${rounds}: ${name}`);
        turns.get(name)?.push(await take(side, turn));
      }
    }
    return compare(vms, new Map([...turns].map(([name, taken]) => [name, summarize(taken)])));
  } finally {
    await controller.stop();
  }
}

function summarize(turns: readonly Turn[]): Turn {
  const of = (value: (turn: Turn) => number) => toThousandths(median(turns.map(value)));
  return {
    perSecond: of(({ perSecond }) => perSecond),
    perCpuSecond: of(({ perCpuSecond }) => perCpuSecond),
    medianMs: of(({ medianMs }) => medianMs),
    p99Ms: of(({ p99Ms }) => p99Ms),
  };
}

export function compare(vms: number, sides: ReadonlyMap<SideName, Turn>): SizeResult {
  const cpu = (name: SideName): number => sides.get(name)?.perCpuSecond ?? Number.NaN;
  const ratio = (a: SideName, b: SideName) => toThousandths(cpu(a) / cpu(b));
  return {
    vms,
    sides: Object.fromEntries(sides),
    ratios: {
      manyToStock: ratio("many", "stock"),
      oneToWs: ratio("one", "ws"),
      oneToNative: sides.has("native") ? ratio("one", "native") : null,
      getToStock: ratio("get", "stock"),
    },
  };
}

function missedBy({ vms, ratios }: SizeResult, { many, one, get }: LookupBounds): string[] {
  const among = `among ${vms.toLocaleString("en")} VMs`;
  return missedOf([
    {
      what: `look-ups, ${perFrame} a frame : GETs of stock Fastify, ${among},`,
      ratio: ratios.manyToStock,
      least: many,
    },
    { what: `look-ups, one a frame : echoes of a bare ws, ${among},`, ratio: ratios.oneToWs, least: one },
    { what: `GETs of /v1/resolve : GETs of stock Fastify, ${among},`, ratio: ratios.getToStock, least: get },
  ]);
}
