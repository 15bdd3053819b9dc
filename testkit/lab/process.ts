// One of our programs, running in a namespace, seen through its log: JSON lines on standard error.
import { EventEmitter } from "node:events";
import { createInterface } from "node:readline";
import type { Namespace, Spawned } from "./namespace.ts";
import { patienceMs, WaitError } from "./wait.ts";

/** A line of pino's, or `{ msg }` for a line that is not a JSON object. */
export interface LogLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

export type LogPredicate = (line: LogLine) => boolean;

/** A program that ended when it should not have; the message carries the end of its log. */
export class ProcessEndedError extends Error {
  override readonly name = "ProcessEndedError";
}

/** Older lines are forgotten, so that a bench with millions of misses stays in memory. */
const maxLines = 100_000;
const tailLines = 20;

export function parseLogLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "msg" in value && typeof value.msg === "string") {
      return value as LogLine;
    }
  } catch {
    // Not ours: a warning of Node's, or the last words of a crash.
  }
  return { msg: text };
}

export class LabProcess {
  /** Its log so far, oldest first. */
  readonly logs: LogLine[] = [];
  /** Resolves with the exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #child: Spawned;
  readonly #lines = new EventEmitter<{ line: [LogLine]; end: [] }>();
  #result: number | NodeJS.Signals | undefined;

  constructor(
    readonly name: string,
    where: Pick<Namespace, "spawn">,
    command: readonly [string, ...string[]],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#lines.setMaxListeners(0);
    this.#child = where.spawn(command, env);
    this.#child.stdin.on("error", () => {}).end();
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on("line", (text) => this.#onLine(text));
    }
    this.ended = new Promise((resolve) => {
      const end = (result: number | NodeJS.Signals, reason?: string) => {
        if (this.#result !== undefined) return;
        this.#result = result;
        if (reason !== undefined) this.#onLine(reason);
        resolve(result);
        this.#lines.emit("end");
      };
      this.#child.on("error", (error) => end(127, error.message));
      this.#child.on("close", (code, signal) => end(code ?? signal ?? 127));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#result === undefined;
  }

  /** Calls back for every line from now on. */
  onLog(listener: (line: LogLine) => void): void {
    this.#lines.on("line", listener);
  }

  /** The first line, past or to come, that satisfies `predicate`. @throws WaitError, ProcessEndedError */
  waitForLog(predicate: LogPredicate, what = "a log line", deadlineMs = patienceMs): Promise<LogLine> {
    const past = this.logs.find(predicate);
    return past ? Promise.resolve(past) : this.nextLog(predicate, what, deadlineMs);
  }

  /** Like `waitForLog`, among future lines. */
  nextLog(predicate: LogPredicate, what = "a log line", deadlineMs = patienceMs): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#lines.off("line", onLine).off("end", onEnd);
        act();
      };
      const onLine = (line: LogLine) => {
        if (predicate(line)) settle(() => resolve(line));
      };
      const onEnd = () => settle(() => reject(new ProcessEndedError(this.describe(`ended before ${what}`))));
      const timer = setTimeout(
        () => settle(() => reject(new WaitError(this.describe(`waited ${deadlineMs} ms for ${what}`)))),
        deadlineMs,
      );
      this.#lines.on("line", onLine).on("end", onEnd);
      if (!this.running) onEnd();
    });
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Signals it and waits for the end; killed when `patienceMs` are over. @returns exit status, or the signal that ended it */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), patienceMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  #onLine(text: string): void {
    const line = parseLogLine(text);
    this.logs.push(line);
    if (this.logs.length > maxLines) this.logs.splice(0, maxLines / 10);
    this.#lines.emit("line", line);
  }

  /** The way in which it ended, followed by the end of its log: for the message of an error. */
  describe(what: string): string {
    const state = this.running ? "" : ` (ended with ${this.#result})`;
    const tail = this.logs.slice(-tailLines).map((line) => `  ${JSON.stringify(line)}`);
    return [`${this.name}: ${what}${state}; its log ends:`, ...tail].join("\n");
  }
}
