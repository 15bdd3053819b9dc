// `stream`: many consumers of the event stream while changes are made, beside a bare `ws` server that sends the same messages to
// as many. A driver times each event from the request that makes it to its arrival at each consumer, so nearmiss's include the
// decision and the fsync of the change.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { WebSocket } from "ws";
import { pause, waitFor } from "../../lab/wait.ts";
import { BenchController, freePort } from "../controller.ts";
import { cpuSeconds, peakRssMib } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { round } from "../statistics.ts";
import { type AudienceReport, nowMs } from "./audience.ts";
import { changeLines, furnishLines } from "./changes.ts";

export interface StreamOptions {
  readonly consumers: number;
  /** Events a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Events that are made by one request. */
  readonly batch: number;
}

export interface StreamSide {
  /** Of all events to all consumers, the share that came before the deadline. */
  readonly delivered: number;
  readonly ended: number;
  /** Events a second that the driver got rid of. */
  readonly rate: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** From the first event sent off to the last one received. */
  readonly tookMs: number;
  readonly cpuSeconds: number;
  readonly peakRssMib: number;
}

export interface StreamResult extends StreamOptions {
  readonly bytesPerEvent: number;
  readonly nearmiss: StreamSide;
  readonly bare: StreamSide;
  /** nearmiss : bare. */
  readonly ratios: { readonly p99: number; readonly cpu: number; readonly rss: number };
}

/** How long after the last request events may still arrive, ms. */
const drainMs = 30_000;

export async function streamBench(options: StreamOptions, progress: Progress): Promise<StreamResult> {
  const batches = Math.ceil((options.rate * options.seconds) / options.batch);
  progress("nearmiss");
  const { side: nearmiss, messages } = await measureNearmiss(options, batches, progress);
  progress("bare ws");
  const bare = await measureBare(options, batches, messages, progress);
  const ratio = (of: (side: StreamSide) => number) => round(of(nearmiss) / of(bare));
  return {
    ...options,
    bytesPerEvent: Math.round(messages.reduce((sum, text) => sum + text.length, 0) / messages.length),
    nearmiss,
    bare,
    ratios: { p99: ratio((s) => s.p99Ms), cpu: ratio((s) => s.cpuSeconds), rss: ratio((s) => s.peakRssMib) },
  };
}

async function measureNearmiss(options: StreamOptions, batches: number, progress: Progress) {
  const controller = await BenchController.start();
  try {
    const importLines = (body: string) =>
      post(`http://${controller.base}/v1/import`, body, { "content-type": "application/x-ndjson" });
    await importLines(furnishLines(options.batch));
    const recorder = await Recorder.open(`ws://${controller.base}/v1/events`);
    const port = Number(controller.base.split(":")[1]);
    const send = (batch: number) => importLines(changeLines(options.batch, batch));
    const side = await measure({ port, pid: controller.pid }, options, batches, send, progress);
    await waitFor(async () => recorder.messages.length >= batches * options.batch, {
      what: "the recording",
      deadlineMs: drainMs,
    });
    return { side, messages: recorder.close() };
  } finally {
    await controller.stop();
  }
}

async function measureBare(options: StreamOptions, batches: number, messages: readonly string[], progress: Progress) {
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, "bare-server.js"), String(port)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    const url = `http://127.0.0.1:${port}/`;
    await waitFor(async () => (await fetch(url)).ok, { what: "the bare server", deadlineMs: 20_000 });
    const send = (batch: number) =>
      post(url, messages.slice(batch * options.batch, (batch + 1) * options.batch).join("\n"), {});
    return await measure({ port, pid: child.pid ?? 0 }, options, batches, send, progress);
  } finally {
    child.kill("SIGKILL");
  }
}

async function measure(
  { port, pid }: { readonly port: number; readonly pid: number },
  { consumers, rate, batch }: StreamOptions,
  batches: number,
  send: (batch: number) => Promise<void>,
  progress: Progress,
): Promise<StreamSide> {
  const events = batches * batch;
  const sentAtMs = new Float64Array(new SharedArrayBuffer(events * 8));
  const workerData = { port, consumers, sentAtMs };
  const audience = new Worker(new URL("./audience.js", import.meta.url), { workerData });
  const message = <T>() => new Promise<T>((resolve) => audience.once("message", resolve));
  progress(`connecting ${consumers} consumers`);
  await message();
  const cpuBefore = cpuSeconds(pid);
  const startMs = nowMs();
  progress(`${events} events`);
  for (let b = 0; b < batches; b++) {
    const dueMs = startMs + (b * batch * 1_000) / rate;
    if (dueMs > nowMs()) await pause(dueMs - nowMs());
    sentAtMs.fill(nowMs(), b * batch, (b + 1) * batch);
    await send(b);
  }
  const sentMs = nowMs() - startMs;
  const look = async () => {
    const report = message<AudienceReport>();
    audience.postMessage("report");
    return report;
  };
  let report = await look();
  const deadline = nowMs() + drainMs;
  while (report.received < events * consumers && nowMs() < deadline) {
    await pause(20);
    report = await look();
  }
  const tookMs = Math.round(nowMs() - startMs);
  const usage = { cpuSeconds: round(cpuSeconds(pid) - cpuBefore), peakRssMib: peakRssMib(pid) };
  await audience.terminate();
  return {
    delivered: round(report.received / (events * consumers)),
    ended: report.ended,
    rate: Math.round((events * 1_000) / sentMs),
    medianMs: quantile(report, 0.5),
    p99Ms: quantile(report, 0.99),
    tookMs,
    ...usage,
  };
}

/** Of the delays of what arrived; beyond the last bucket it is at least that long. */
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
