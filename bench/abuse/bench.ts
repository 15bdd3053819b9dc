// `abuse`: what honest clients wait for while others attack, beside the same in peace, in turns.
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { BenchController } from "../controller.ts";
import type { Progress } from "../progress.ts";
import { type Distribution, distribution, round } from "../statistics.ts";

export interface AbuseOptions {
  /** Turns of each: in peace, attacked. */
  readonly rounds: number;
  /** How long a turn is. */
  readonly seconds: number;
  /** Attacks of each of six kinds in a second, beside 100 connections that never end their headers. */
  readonly rate: number;
}

export interface AbuseResult extends AbuseOptions {
  readonly peace: Honest;
  readonly attacked: Honest;
  /** p99 of reads and of writes, attacked : in peace. */
  readonly readRatio: number;
  readonly writeRatio: number;
  /** How often attackers were answered what. */
  readonly answers: Readonly<Record<string, number>>;
}

interface Honest {
  readonly reads: Distribution;
  readonly writes: Distribution;
}

const readEveryMs = 5;
const writeEveryMs = 50;
/** Until the first requests of a turn have warmed up, or the last attackers have left. */
const settleMs = 500;

export async function abuseBench(options: AbuseOptions, progress: Progress): Promise<AbuseResult> {
  const controller = await BenchController.start("tokens");
  const attackers = fork(join(import.meta.dirname, "attack.js"), [controller.base, String(options.rate)]);
  const clients = new HonestClients(controller);
  try {
    await clients.prepare();
    await clients.turn(options.seconds);
    const peace = { reads: [] as number[], writes: [] as number[] };
    const attacked = { reads: [] as number[], writes: [] as number[] };
    let answers: Record<string, number> = {};
    for (let i = 0; i < options.rounds; i++) {
      progress(`round ${i + 1} of ${options.rounds}: in peace`);
      append(peace, await clients.turn(options.seconds));
      progress(`round ${i + 1} of ${options.rounds}: attacked`);
      attackers.send("attack");
      append(attacked, await clients.turn(options.seconds));
      attackers.send("rest");
      [answers] = (await once(attackers, "message")) as [Record<string, number>];
    }
    const result = { peace: summarize(peace), attacked: summarize(attacked) };
    return {
      ...options,
      ...result,
      readRatio: round(result.attacked.reads.p99Ms / result.peace.reads.p99Ms),
      writeRatio: round(result.attacked.writes.p99Ms / result.peace.writes.p99Ms),
      answers,
    };
  } finally {
    attackers.disconnect();
    clients.close();
    await controller.stop();
  }
}

interface Times {
  readonly reads: number[];
  readonly writes: number[];
}

function append(all: Times, turn: Times): void {
  all.reads.push(...turn.reads);
  all.writes.push(...turn.writes);
}

function summarize({ reads, writes }: Times): Honest {
  return { reads: distribution(reads), writes: distribution(writes) };
}

/** Known tokens, standing connections, and a pace that does not wait for answers. */
class HonestClients {
  private readonly connections = new Agent({ keepAlive: true });
  private sent = 0;

  constructor(private readonly controller: BenchController) {}

  async prepare(): Promise<void> {
    await this.call("PUT", "/v1/networks/blue", { vni: 1, subnets: ["10.20.0.0/16"] });
    await this.call("PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
    await this.writeOne();
  }

  async turn(seconds: number): Promise<Times> {
    await pause(settleMs);
    const times: Times = { reads: [], writes: [] };
    const pending: Promise<void>[] = [];
    const time = async (into: number[], act: () => Promise<void>) => {
      const startMs = performance.now();
      await act();
      into.push(performance.now() - startMs);
    };
    const reading = setInterval(
      () => pending.push(time(times.reads, () => this.call("GET", "/v1/vms/web"))),
      readEveryMs,
    );
    const writing = setInterval(() => pending.push(time(times.writes, () => this.writeOne())), writeEveryMs);
    await pause(seconds * 1_000);
    clearInterval(reading);
    clearInterval(writing);
    await Promise.all(pending);
    return times;
  }

  close(): void {
    this.connections.destroy();
  }

  private writeOne(): Promise<void> {
    const ip = `10.20.1.${1 + (this.sent++ % 200)}`;
    const interfaces = [{ network: "blue", mac: "52:54:00:00:00:01", ips: [ip] }];
    return this.call("PUT", "/v1/vms/web", { host: "a", interfaces });
  }

  private call(method: string, path: string, body?: object): Promise<void> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const content = body && { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const headers = { authorization: `Bearer ${this.controller.adminToken}`, ...content };
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.connections };
      const call = request(`http://${this.controller.base}${path}`, options, (response) => {
        const ok = (response.statusCode ?? 500) < 300;
        response.resume().once("end", () => (ok ? resolve() : reject(new Error(`${method}: ${response.statusCode}`))));
      });
      call.once("error", reject).end(text);
    });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
