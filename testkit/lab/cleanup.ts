// The last resort: however this process ends, its labs are removed. Synchronous, because nothing else runs at exit.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { killAll, namespaceExists, processesIn } from "./namespace.ts";

/** What must not outlive the process; the owner keeps it up to date. */
export interface Leftovers {
  readonly namespaces: ReadonlySet<string>;
  readonly directory: string;
}

const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const live = new Set<Leftovers>();

/** @returns takes the promise back, once the owner has cleaned up itself */
export function removeAtExit(leftovers: Leftovers): () => void {
  if (live.size === 0) listen();
  live.add(leftovers);
  return () => {
    live.delete(leftovers);
    if (live.size === 0) stopListening();
  };
}

function listen(): void {
  process.on("exit", removeAll);
  for (const signal of endingSignals) process.on(signal, onSignal);
}

function stopListening(): void {
  process.off("exit", removeAll);
  for (const signal of endingSignals) process.off(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  // Other listeners decide when to end; the exit hook remains as a fallback.
  if (process.listenerCount(signal) > 1) return;
  removeAll();
  stopListening();
  process.kill(process.pid, signal);
}

function removeAll(): void {
  for (const leftovers of live) removeNow(leftovers);
  live.clear();
}

function removeNow({ namespaces, directory }: Leftovers): void {
  const present = [...namespaces].filter(namespaceExists);
  const end = performance.now() + 2_000;
  for (;;) {
    const left = processesIn(present);
    if (left.length === 0 || performance.now() > end) break;
    killAll(left);
  }
  if (present.length > 0) {
    const input = present.map((name) => `netns del ${name}\n`).join("");
    try {
      execFileSync("ip", ["-force", "-batch", "-"], { input, stdio: ["pipe", "ignore", "inherit"] });
    } catch {
      process.stderr.write(`nearmiss lab: could not remove all of ${present.join(" ")}\n`);
    }
  }
  rmSync(directory, { recursive: true, force: true });
}
