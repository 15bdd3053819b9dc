// One side of `stream`: a server, its audience, and a driver that makes changes at a rate. An event's delay counts from when it was
// due, so a server that keeps the driver waiting does not look quick; nearmiss's include the decision and the fsync of the change.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { WebSocket } from "ws";
import { toThousandths } from "../../../common/round.ts";
import { pause, waitFor } from "../../lab/wait.ts";

import { BenchController, freePort } from "../controller.ts";
import { cpuSeconds, peakRssMib, rssMib } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { type AudienceReport, nowMs } from "./audience.ts";
import { changeLines, furnishLines } from "./changes.ts";
import type { StreamOptions } from "./options.ts";

export interface StreamSide {
  /** Of all events for all consumers, the share that arrived before the deadline. */
  readonly delivered: number;
  /** Delivered events, summed over consumers. */
  readonly received: number;
  /** Consumers that were cut off. */
  readonly ended: number;
  /** Events a second, from the first made to the last received. */
  readonly rate: number;
  /** The delay of the last event after its due time. */
  readonly behindMs: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Of the server, from then on. */
  readonly cpuSeconds: number;
  /** Of the server, before the consumers connected. */
  readonly restingRssMib: number;
  readonly peakRssMib: number;
}

/** How long after the last request events may still arrive, ms. */
const drainMs = 30_000;

/** Its messages are for the other one to send. */
export async function measureNearmiss(options: StreamOptions, progress: Progress) {
  progress("nearmiss");
  const controller = await BenchController.start();
  try {
    const importLines = (body: string) =>
      post(`http://${controller.base}/v1/import`, body, { "content-type": "application/x-ndjson" });
    await importLines(furnishLines(options.batch));
    const recorder = await Recorder.open(`ws://${controller.base}/v1/events`);
    const port = Number(controller.base.split(":")[1]);
    const send = (batch: number) => importLines(changeLines(options.batch, batch));
    const { side, events } = await measure({ port, pid: controller.pid }, options, batchesOf(options), send, progress);
    await waitFor(async () => recorder.messages.length >= events, {
      what: "the recording",
      deadlineMs: drainMs,
    });
    return { side, messages: recorder.close() };
  } finally {
    await controller.stop();
  }
}

export async function measureBare(
  options: StreamOptions,
  messages: readonly string[],
  progress: Progress,
): Promise<StreamSide> {
  progress("bare ws");
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, "bare-server.js"), String(port)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    const url = `http://127.0.0.1:${port}/`;
    await waitFor(async () => (await fetch(url)).ok, { what: "the bare server", deadlineMs: 20_000 });
    const send = (batch: number) =>
      post(url, messages.slice(batch * options.batch, (batch + 1) * options.batch).join("\n"), {});
    const batches = Math.floor(messages.length / options.batch);
    return (await measure({ port, pid: child.pid ?? 0 }, options, batches, send, progress)).side;
  } finally {
    child.kill("SIGKILL");
  }
}

function batchesOf({ rate, seconds, batch }: StreamOptions): number {
  return Math.ceil((rate * seconds) / batch);
}

/** @param batches that there are; fewer are made where the time is over before */
async function measure(
  { port, pid }: { readonly port: number; readonly pid: number },
  { consumers, rate, seconds, batch }: StreamOptions,
  batches: number,
  send: (batch: number) => Promise<void>,
  progress: Progress,
): Promise<{ readonly side: StreamSide; readonly events: number }> {
  const restingRssMib = rssMib(pid);
  const dueAtMs = new Float64Array(new SharedArrayBuffer(batches * batch * 8));
  const workerData = { port, consumers, dueAtMs };
  const audience = new Worker(new URL("./audience.js", import.meta.url), { workerData });
  const message = <T>() => new Promise<T>((resolve) => audience.once("message", resolve));
  progress(`connecting ${consumers} consumers`);
  await message();
  const cpuBefore = cpuSeconds(pid);
  const startMs = nowMs();
  let made = 0;
  for (; made < batches && nowMs() < startMs + seconds * 1_000; made++) {
    const dueMs = startMs + (made * batch * 1_000) / rate;
    while (nowMs() < dueMs) await pause(dueMs - nowMs());
    dueAtMs.fill(dueMs, made * batch, (made + 1) * batch);
    await send(made);
    progress(`${made * batch} events`);
  }
  const events = made * batch;
  const look = async () => {
    const report = message<AudienceReport>();
    audience.postMessage("report");
    return report;
  };
  let report = await look();
  const deadlineMs = nowMs() + drainMs;
  while (report.received < events * consumers && nowMs() < deadlineMs) {
    await pause(20);
    report = await look();
  }
  const behindMs = report.lastMs - (dueAtMs[events - 1] ?? startMs);
  const tookMs = (events * 1_000) / rate + behindMs;
  await audience.terminate();
  const side = {
    delivered: toThousandths(report.received / (events * consumers)),
    received: report.received,
    ended: report.ended,
    rate: toThousandths((report.received * 1_000) / (consumers * tookMs)),
    behindMs: toThousandths(behindMs),
    medianMs: quantile(report, 0.5),
    p99Ms: quantile(report, 0.99),
    cpuSeconds: toThousandths(cpuSeconds(pid) - cpuBefore),
    restingRssMib,
    peakRssMib: peakRssMib(pid),
  };
  return { side, events };
}

/** Of the delays of received events; beyond the last bucket it is at least that long. */
function quantile({ delays, received }: AudienceReport, share: number): number {
  let seen = 0;
  const at = delays.findIndex((count) => {
    seen += count;
    return seen >= received * share;
  });
  return at / 10;
}

async function post(url: string, body: string, headers: Record<string, string>): Promise<void> {
  const response = await fetch(url, { method: "POST", body, headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
}

/** One consumer more, which keeps the messages, so that the bare server can send the same. */
class Recorder {
  readonly messages: string[] = [];

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (data) => {
      const text = String(data);
      if (text.includes('"index":')) this.messages.push(text);
    });
  }

  static async open(url: string): Promise<Recorder> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const recorder = new Recorder(socket);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return recorder;
  }

  close(): readonly string[] {
    this.socket.terminate();
    return this.messages;
  }
}
