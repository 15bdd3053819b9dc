// The consumers, all in one thread beside the driver: plain sockets that count received events, because two thousand
// full clients would be the bottleneck.
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { FrameCounter } from "./frames.ts";

export interface AudienceData {
  readonly port: number;
  readonly consumers: number;
  /** When each event was due, ms of `nowMs`, by its number; written by the driver before it sends. */
  readonly dueAtMs: Float64Array;
}

export interface AudienceReport {
  readonly received: number;
  /** Number of events by tenths of a ms of delay; the last is for all beyond. */
  readonly delays: Float64Array;
  readonly ended: number;
  /** When the last event arrived. */
  readonly lastMs: number;
}

const readBytes = 256 * 1024;
/** Ten seconds in tenths of a ms. */
const buckets = 100_000;

/** The same in all threads of the process. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function attend({ port, consumers, dueAtMs }: AudienceData): void {
  const delays = new Float64Array(buckets + 1);
  let received = 0;
  let ended = 0;
  let lastMs = 0;
  let open = 0;
  const request =
    `GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
  /** Of all sockets: each chunk is dealt with before the next is read. */
  const buffer = Buffer.alloc(readBytes);
  const join = () => {
    const counter = new FrameCounter();
    let isOpen = false;
    const take = (data: Buffer) => {
      let chunk = data;
      if (!isOpen) {
        chunk = data.subarray(data.indexOf("\r\n\r\n") + 4);
        isOpen = true;
        open += 1;
        if (open === consumers) parentPort?.postMessage("ready");
        else if (open % 50 === 0) for (let i = open; i < Math.min(open + 50, consumers); i++) join();
      }
      const now = nowMs();
      const first = counter.events;
      const count = counter.take(chunk);
      for (let n = first; n < first + count; n++) {
        const bucket = Math.floor((now - (dueAtMs[n] as number)) * 10);
        const at = Math.min(Math.max(bucket, 0), buckets);
        delays[at] = (delays[at] as number) + 1;
      }
      received += count;
      if (count > 0) lastMs = now;
    };
    const onread = {
      buffer,
      callback: (length: number) => {
        take(buffer.subarray(0, length));
        return true;
      },
    };
    const socket = connect({ port, host: "127.0.0.1", onread }, () => socket.write(request));
    socket.on("error", () => {});
    socket.on("close", () => {
      ended += 1;
    });
  };
  for (let i = 0; i < Math.min(50, consumers); i++) join();
  parentPort?.on("message", () =>
    parentPort?.postMessage({ received, delays, ended, lastMs } satisfies AudienceReport),
  );
}

if (parentPort) attend(workerData as AudienceData);
