// The output of `ping`, as numbers. A packet that had to wait for its answer is late, not lost.
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Namespace, Spawned } from "./namespace.ts";
import { waitFor } from "./wait.ts";

export interface PingOptions {
  /** Default 1. */
  readonly count?: number;
  /** Between two packets, default 200. */
  readonly intervalMs?: number;
  /** How long the last packets may stay on their way, default 3. */
  readonly deadlineS?: number;
  /** Payload in bytes, default 56. */
  readonly size?: number;
  /** Forbid fragmentation, default false. */
  readonly dontFragment?: boolean;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Round trips in ms, in the order of arrival. */
  readonly rtts: readonly number[];
  /** Sequence numbers, from 1, without an answer. */
  readonly lost: readonly number[];
  /** What ping printed. */
  readonly output: string;
}

/** A running ping without a limit. */
export interface ContinuousPing {
  /** Answers so far. */
  received(): number;
  /** Waits until the packets on their way are answered, at most `graceMs` (default 2,000), then ends. */
  stop(graceMs?: number): Promise<PingResult>;
}

/** ping counts to this and starts again; a run beyond it would count two packets as one. */
const maxSequence = 65_535;

/** @param sent 0: take what ping says at the end */
export function parsePing(output: string, sent = 0): PingResult {
  const rttOf = new Map<number, number>();
  for (const match of output.matchAll(/bytes from \S+ .*?icmp_seq=(\d+) .*?time=([\d.]+) ms/g)) {
    const sequence = Number(match[1]);
    if (!rttOf.has(sequence)) rttOf.set(sequence, Number(match[2]));
  }
  const total = sent || Number(/(\d+) packets transmitted/.exec(output)?.[1] ?? 0);
  const answered = [...rttOf].filter(([sequence]) => sequence <= total);
  return {
    sent: total,
    received: answered.length,
    rtts: answered.map(([, rtt]) => rtt),
    lost: Array.from({ length: total }, (_, i) => i + 1).filter((sequence) => !rttOf.has(sequence)),
    output,
  };
}

function pingCommand(ip: string, options: PingOptions, count: number | undefined): [string, ...string[]] {
  const { intervalMs = 200, deadlineS = 3, size, dontFragment = false } = options;
  return [
    "ping",
    "-n",
    ...["-i", String(intervalMs / 1_000), "-W", String(deadlineS)],
    ...(count === undefined ? [] : ["-c", String(count)]),
    ...(size === undefined ? [] : ["-s", String(size)]),
    ...(dontFragment ? ["-M", "do"] : []),
    ip,
  ];
}

function collect(child: Spawned): { output(): string; errors(): string; closed: Promise<void> } {
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const closed = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve());
  });
  // A caller that awaits it gets the error; a ping without one must not end the process.
  closed.catch(() => {});
  return { output: () => output, errors: () => errors, closed };
}

/** Pings from `from`; packets without answer are a result, not an error. @throws Error where ping could not even send */
export async function ping(from: Namespace, ip: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 1 } = options;
  const { output, errors, closed } = collect(from.spawn(pingCommand(ip, options, count)));
  await closed;
  const result = parsePing(output());
  if (result.sent === 0) throw new Error(`ping ${ip} from ${from.namespace}: ${errors().trim() || "sent nothing"}`);
  return result;
}

/** Until then SIGQUIT would end it. */
function catchesQuit(pid: number | undefined): boolean {
  const [, mask = "0"] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals.SIGQUIT - 1))) !== 0n;
}

export function startPing(from: Namespace, ip: string, options: Omit<PingOptions, "count"> = {}): ContinuousPing {
  const child = from.spawn(pingCommand(ip, options, undefined));
  const { output, errors, closed } = collect(child);
  // On SIGQUIT ping prints "received/transmitted packets" and continues: packets sent until then count.
  const transmitted = () => Number(/\d+\/(\d+) packets/.exec(errors())?.[1] ?? 0);
  const received = () => parsePing(output(), maxSequence).received;
  let stopping: Promise<PingResult> | undefined;

  async function stop(graceMs: number): Promise<PingResult> {
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    await waitFor(() => ended() || catchesQuit(child.pid), { what: `ping ${ip} to have begun` });
    child.kill("SIGQUIT");
    await waitFor(() => transmitted() || ended(), { what: `ping ${ip} to say how much it sent` });
    const sent = transmitted();
    const end = performance.now() + graceMs;
    await waitFor(() => ended() || performance.now() > end || parsePing(output(), sent).received === sent, {
      what: `ping ${ip} to settle`,
      deadlineMs: graceMs + 1_000,
    });
    child.kill("SIGINT");
    await closed;
    const result = parsePing(output(), sent);
    if (result.sent === 0) throw new Error(`ping ${ip} from ${from.namespace}: ${errors().trim() || "sent nothing"}`);
    return result;
  }

  return {
    received,
    stop: (graceMs = 2_000) => {
      stopping ??= stop(graceMs);
      return stopping;
    },
  };
}
