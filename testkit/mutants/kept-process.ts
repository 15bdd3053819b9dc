// A pool for Vitest that keeps its process from one mutant to the next: starting it takes ten times as long as the tests of one.
// Mutants of code that runs only while its module loads are left out (`ignoreStatic` in stryker.json).
import { type ChildProcess, fork } from "node:child_process";
import { resolve } from "node:path";
import type { PoolOptions, PoolWorker, WorkerRequest } from "vitest/node";

// Compiled, since Node runs it: within Stryker's copy of the sources as in the repository.
const entry = resolve(import.meta.dirname, "../../dist/testkit/mutants/kept-worker.js");

let kept: ChildProcess | undefined;

class KeptProcess implements PoolWorker {
  readonly name = "kept-process";
  readonly cacheFs = true;
  private process: ChildProcess | undefined;
  private hasStopped = false;

  constructor(private readonly options: PoolOptions) {}

  async start(): Promise<void> {
    // What Stryker's runner provides to its setup file.
    const { mode } = this.options.project.getProvidedContext() as Record<string, unknown>;
    const isKept = mode === "mutant";
    if (kept && (!isKept || hasEnded(kept))) end(kept);
    const process =
      kept ??
      fork(entry, [], {
        env: this.options.env,
        execArgv: this.options.execArgv,
        stdio: "ignore",
        serialization: "advanced",
      });
    this.process = process;
    kept = isKept ? process : undefined;
  }

  async stop(): Promise<void> {
    if (!this.process) return;
    // Without a proper stop its tests may still run.
    if (this.hasStopped && this.process === kept) this.process.removeAllListeners();
    else end(this.process);
  }

  on(event: string, callback: (...args: unknown[]) => void): void {
    this.process?.on(event, callback);
  }

  off(event: string, callback: (...args: unknown[]) => void): void {
    this.process?.off(event, callback);
  }

  send(message: WorkerRequest): void {
    if (message.type === "stop") this.hasStopped = true;
    this.process?.send(message);
  }

  deserialize(data: unknown): unknown {
    return data;
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

function end(process: ChildProcess): void {
  if (process === kept) kept = undefined;
  process.removeAllListeners();
  process.kill("SIGKILL");
}

export const keptProcess = {
  name: "kept-process",
  createPoolWorker: (options: PoolOptions): PoolWorker => new KeptProcess(options),
};
