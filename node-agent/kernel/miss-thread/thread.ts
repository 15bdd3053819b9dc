// The thread that answers misses of networks in memory (ADR 0230): it blocks in `recv` on its own socket. miss-thread.ts starts and stops it.
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { Pace } from "../../../common/pace.ts";
import { trimHeap } from "../../../common/trim-heap.ts";
import { addressOf, openLeanCalls } from "./lean-calls.ts";
import { MadeUpMisses } from "./made-up-misses.ts";
import { MissPath, memoryBytes, places, type ServedNetwork } from "./miss-path.ts";
import { Questions } from "./questions.ts";
import { clockOriginMs, control, type ThreadData, type ThreadMessage } from "./shared.ts";

/** Runs on made-up data before the first miss: V8 has compiled the way then. */
const firstRuns = 400;
/** The main thread is notified when no miss has come for this time, or after so many answers, or after the longest time. */
const quietMs = 3;
const maxUnannounced = 64;
const maxUnannouncedMs = 20;
/** Questions read from a network without a miss, and in how many waits those of all networks are read. */
const heardInPassing = 64;
const waitsOfRound = 16;

/** Interval of runs on made-up data on a busy host, at the most, and how often the thread looks around where there is nothing to do, ms. */
const maxHeatMs = 320;
const idleMs = 500;

const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;

const { data, port } = workerData as { readonly data: ThreadData; readonly port: MessagePort };
const words = data.control;
const calls = openLeanCalls();
const buffer = new ArrayBuffer(memoryBytes);
const base = addressOf(buffer);
const path = new MissPath(calls, buffer, base, data, clockOriginMs());
const madeUp = new MadeUpMisses(path, data.sockets.deaf);
const networks = new Map<number, ServedNetwork>();
const pace = new Pace(data.heatMs, maxHeatMs);

function takeMessages(): void {
  while (Atomics.load(words, control.taken) !== Atomics.load(words, control.posted)) {
    const message = receiveMessageOnPort(port)?.message as ThreadMessage | undefined;
    if (!message) return;
    take(message);
    Atomics.add(words, control.taken, 1);
  }
}

function take(message: ThreadMessage): void {
  if (message.do === "leave") {
    networks.delete(message.ifindex);
    return;
  }
  const { slot, ifindex, bridgeIfindex, questions: socket, table, untilMs } = message;
  const present = networks.get(ifindex);
  const questions = present?.socket === socket ? present.questions : new Questions();
  networks.set(ifindex, { slot, ifindex, bridgeIfindex, socket, questions, table, untilMs, isMadeUp: false });
}

let timeoutMs = -1;
/** How long `recv` blocks. */
function setTimeoutMs(ms: number): void {
  if (ms === timeoutMs) return;
  timeoutMs = ms;
  path.memory.setBigInt64(places.timeout, BigInt(Math.floor(ms / 1_000)), true);
  path.memory.setBigInt64(places.timeout + 8, BigInt((ms % 1_000) * 1_000), true);
  calls.setsockopt(data.sockets.misses, SOL_SOCKET, SO_RCVTIMEO, base + places.timeout, 16);
}

function receive(flags: number): number {
  return calls.recv(data.sockets.misses, base + places.miss, places.missBytes, flags);
}

/** A miss has come: this one, those that follow at once, then the main thread's part. */
function work(first: number): void {
  const sinceMs = path.nowMs();
  for (let length = first; ; length = receive(MSG_DONTWAIT)) {
    if (length <= 0) {
      if (path.unannounced === 0) return;
      const isLong = path.unannounced >= maxUnannounced || path.nowMs() - sinceMs > maxUnannouncedMs;
      if (isLong || !path.isReadable(data.sockets.misses, quietMs)) {
        path.wake();
        return;
      }
      continue;
    }
    takeMessages();
    path.take(length, networks);
    if (path.unannounced >= maxUnannounced) path.wake();
  }
}

let round: ServedNetwork[] = [];
/** Questions without a miss only fill the sockets. Networks take turns, so that many of them cost no more than a few. */
function listenInPassing(nowMs: number): void {
  if (round.length === 0) round = [...networks.values()];
  const count = Math.ceil(networks.size / waitsOfRound);
  for (const { ifindex } of round.splice(0, count)) {
    const network = networks.get(ifindex);
    if (network) path.listen(network, nowMs, heardInPassing);
  }
}

function heat(): void {
  const startMs = path.nowMs();
  listenInPassing(startMs);
  if (timeoutMs === idleMs) return;
  madeUp.run();
  Atomics.add(words, control.heats, 1);
  Atomics.add(words, control.heatUs, Math.round((path.nowMs() - startMs) * 1_000));
}

// Before the warm-up: it discards compiled code, too.
trimHeap();
for (let run = 0; run < firstRuns; run++) madeUp.run();
port.postMessage("ready");
while (Atomics.load(words, control.stop) === 0) {
  Atomics.add(words, control.rounds, 1);
  takeMessages();
  const heatMs = pace.heatMs(networks.size > 0);
  Atomics.store(words, control.heatMs, heatMs);
  setTimeoutMs(heatMs || idleMs);
  const startMs = path.nowMs();
  const length = receive(0);
  if (length > 0) work(length);
  else {
    if (heatMs > 0) pace.waited(path.nowMs() - startMs);
    heat();
  }
}
port.close();
