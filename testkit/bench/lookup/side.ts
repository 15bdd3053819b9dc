// One turn of `lookup`: a server that runs, and the clients that ask it.
import { join } from "node:path";
import type { Distribution } from "../../statistics.ts";
import { measureClients } from "../client-process.ts";

/** What is spoken: the agent channel; WebSocket to an echo; bytes to an echo; HTTP. */
export type Kind = "agent" | "ws" | "bytes" | "http";

export interface ClientOptions {
  readonly port: number;
  readonly kind: Kind;
  /** In the inventory. */
  readonly vms: number;
  readonly perFrame: number;
  readonly ms: number;
}

export interface ClientReport {
  readonly seconds: number;
  /** Frames or responses. */
  readonly answers: number;
  readonly times: Distribution;
}

export interface Turn {
  /** Look-ups. */
  readonly perSecond: number;
  /** Of the server alone, in all its threads. */
  readonly perCpuSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

const client = join(import.meta.dirname, "client.js");

export async function takeTurn(options: ClientOptions, serverPid: number): Promise<Turn> {
  const { report, serverCpuSeconds } = await measureClients<ClientReport>(client, options, serverPid);
  const lookups = report.answers * options.perFrame;
  return {
    perSecond: lookups / report.seconds,
    perCpuSecond: lookups / serverCpuSeconds,
    medianMs: report.times.medianMs,
    p99Ms: report.times.p99Ms,
  };
}
