// `register`: VMs posted by one client, by many, and by very many at the same time, beside stock Fastify, which stores nothing, and
// beside SQLite, which inserts row after row with a full fsync. All in turns, with the clients in a process of their own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toThousandths } from "../../../common/round.ts";
import { median } from "../../statistics.ts";
import { ask } from "../ask.ts";
import { BenchController } from "../controller.ts";
import type { Progress } from "../progress.ts";
import { ServerProcess } from "../server-process.ts";
import { hostBodies, networkBody } from "./body.ts";
import { insertRaw, type Server, type Turn, takeTurn } from "./side.ts";

export interface RegisterOptions {
  /** Numbers of clients, one after the other. */
  readonly clients: readonly number[];
  readonly rounds: number;
  /** Length of a turn, ms. */
  readonly turn: number;
}

/** Medians of all rounds. */
export interface Posted {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The least of all rounds: see `Turn`. */
  readonly leastServed: number;
}

export interface RegisterResult extends RegisterOptions {
  readonly sizes: readonly {
    readonly clients: number;
    readonly nearmiss: Posted;
    readonly stock: Posted;
    /** nearmiss : stock Fastify. */
    readonly ratios: { readonly perSecond: number; readonly perCpuSecond: number };
    /** p99 and the longest of nearmiss, each : its median. */
    readonly tail: { readonly p99: number; readonly max: number };
  }[];
  /** Rows a second of SQLite, median of all rounds. */
  readonly rawPerSecond: number;
}

/** Beyond those of the default, so that one address and one token may have them. */
const manyClients = ["--rate-limit", "100000", "--token-connections", "4000", "--stranger-connections", "4000"];
/** Answers of one turn at most; so many turns have VMs of their own. */
const maxPerTurn = 250_000;
/**
 * The processes are new: what runs for the first time is slow, and V8's compilers work beside it in threads that count. Each side
 * answers so often before, since the one that is slower would be measured colder after the same time.
 */
const warmUp = { answers: 20_000, turnMs: 1_000, maxTurns: 20 };

export async function registerBench(options: RegisterOptions, progress: Progress): Promise<RegisterResult> {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
  const controller = await BenchController.start("tokens", manyClients);
  const stockProgram = join(import.meta.dirname, "stock-server.js");
  const stockServer = await ServerProcess.start("stock Fastify", [process.execPath, stockProgram]);
  const stock = { port: stockServer.port, pid: stockServer.pid, token: "" };
  try {
    const ours = { port: Number(controller.base.split(":")[1]), pid: controller.pid, token: controller.adminToken };
    const post = async (path: string, body: object) => {
      const { status, text } = await ask({ url: `${controller.url}/v1/${path}`, token: ours.token, body });
      if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
    };
    await post("networks", networkBody);
    for (const body of hostBodies) await post("hosts", body);
    let vms = 1;
    const turn = async (server: Server, clients: number, ms: number): Promise<Turn> => {
      const taken = await takeTurn(server, clients, ms, vms);
      vms += maxPerTurn;
      return taken;
    };
    const turns = new Map(options.clients.map((clients) => [clients, { ours: [] as Turn[], stock: [] as Turn[] }]));
    const raw: number[] = [];
    progress("warming up");
    for (const server of [ours, stock]) {
      let answers = 0;
      for (let n = 0; n < warmUp.maxTurns && answers < warmUp.answers; n++) {
        const { perSecond } = await turn(server, 32, warmUp.turnMs);
        answers += (perSecond * warmUp.turnMs) / 1_000;
      }
    }
    for (let n = 1; n <= options.rounds; n++) {
      for (const [clients, taken] of turns) {
        progress(`round ${n} of ${options.rounds}: ${clients} clients`);
        taken.ours.push(await turn(ours, clients, options.turn));
        taken.stock.push(await turn(stock, clients, options.turn));
      }
      raw.push(await insertRaw(join(directory, "raw.db"), options.turn));
    }
    return {
      ...options,
      sizes: [...turns].map(([clients, taken]) => compare(clients, summarize(taken.ours), summarize(taken.stock))),
      rawPerSecond: Math.round(median(raw)),
    };
  } finally {
    stockServer.stop();
    await controller.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function compare(clients: number, nearmiss: Posted, stock: Posted): RegisterResult["sizes"][number] {
  return {
    clients,
    nearmiss,
    stock,
    ratios: {
      perSecond: toThousandths(nearmiss.perSecond / stock.perSecond),
      perCpuSecond: toThousandths(nearmiss.perCpuSecond / stock.perCpuSecond),
    },
    tail: {
      p99: toThousandths(nearmiss.p99Ms / nearmiss.medianMs),
      max: toThousandths(nearmiss.maxMs / nearmiss.medianMs),
    },
  };
}

function summarize(turns: readonly Turn[]): Posted {
  const of = (value: (turn: Turn) => number) => toThousandths(median(turns.map(value)));
  return {
    perSecond: of(({ perSecond }) => perSecond),
    perCpuSecond: of(({ perCpuSecond }) => perCpuSecond),
    medianMs: of(({ times }) => times.medianMs),
    p99Ms: of(({ times }) => times.p99Ms),
    maxMs: of(({ times }) => times.maxMs),
    leastServed: Math.min(...turns.map(({ leastServed }) => leastServed)),
  };
}
