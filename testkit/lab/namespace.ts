// Network namespaces by name: entering one for a moment, running programs there, and finding the remaining processes in
// them.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { enterNetworkNamespace } from "../../node-agent/kernel/sockets/libc.ts";
import { ipBatch, type RunOptions, run } from "./command.ts";
import { waitFor } from "./wait.ts";

const directory = "/var/run/netns";

export type Spawned = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Runs `act` on this thread inside the namespace, and returns. `act` must be synchronous: everything it opens (sockets,
 * files of /proc/sys/net) belongs to the namespace permanently, later work does not.
 */
export function inNamespace<T>(name: string, act: () => T): T {
  const there = openSync(join(directory, name), "r");
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    enterNetworkNamespace(there);
    try {
      return act();
    } finally {
      enterNetworkNamespace(home);
    }
  } finally {
    closeSync(home);
    closeSync(there);
  }
}

/** This thread and all that it opens are in the namespace from now on. */
export function enterNamespace(name: string): void {
  const there = openSync(join(directory, name), "r");
  try {
    enterNetworkNamespace(there);
  } finally {
    closeSync(there);
  }
}

/** A namespace that the lab made. */
export class Namespace {
  constructor(readonly namespace: string) {}

  /** Runs a command to its end. @returns standard output. @throws CommandError with its standard error */
  exec(command: readonly [string, ...string[]], options?: RunOptions): Promise<string> {
    return run(["ip", "netns", "exec", this.namespace, ...command], options);
  }

  /** Starts a long-running command, which ends with the lab at the latest. `more`: beside this process's environment. */
  spawn(command: readonly [string, ...string[]], more: Readonly<Record<string, string>> = {}): Spawned {
    const env = { ...process.env, ...more };
    return spawn("ip", ["netns", "exec", this.namespace, ...command], { stdio: "pipe", detached: true, env });
  }

  /** Many `ip` commands at once, inside the namespace. */
  ip(...lines: string[]): Promise<void> {
    return ipBatch(lines, this.namespace);
  }

  /** Names of the devices that are in here now; costs no process. */
  interfaces(): string[] {
    const table = inNamespace(this.namespace, () => readFileSync("/proc/thread-self/net/dev", "utf8"));
    return table.split("\n").flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
  }

  /**
   * @param path below /proc/sys/net, such as "ipv6/conf/default/accept_dad"
   * @param optional kernels without it are left as they are
   */
  sysctl(path: string, value: number, { optional = false } = {}): void {
    const file = join("/proc/sys/net", path);
    inNamespace(this.namespace, () => {
      if (!optional || existsSync(file)) writeFileSync(file, String(value));
    });
  }

  /** @returns the device's index in here. @throws CommandError where it does not exist */
  async ifindexOf(device: string): Promise<number> {
    const text = await run(["ip", "-n", this.namespace, "-json", "link", "show", "dev", device]);
    const [link] = JSON.parse(text) as { ifindex: number }[];
    if (!link) throw new Error(`${device} is not in ${this.namespace}`);
    return link.ifindex;
  }
}

export function namespaceExists(name: string): boolean {
  return statSync(join(directory, name), { throwIfNoEntry: false }) !== undefined;
}

/** Names with this prefix, of any creator. */
export function namespacesNamed(prefix: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.startsWith(prefix));
  } catch {
    return []; // the directory is created with the first namespace
  }
}

/** Processes whose main thread lives in one of the namespaces: while one lives, the devices do too. */
export function processesIn(names: readonly string[]): number[] {
  const inodes = new Set(names.flatMap((name) => inodeOf(join(directory, name)) ?? []));
  if (inodes.size === 0) return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && inodes.has(inodeOf(`/proc/${pid}/ns/net`) ?? 0n));
}

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined; // ended by now, or a zombie
  }
}

export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // ended already
    }
  }
}

/** Ends all processes in the namespaces, then deletes them. The order matters: see `processesIn`. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  const present = names.filter(namespaceExists);
  if (present.length === 0) return;
  await waitFor(
    () => {
      const left = processesIn(present);
      killAll(left);
      return left.length === 0;
    },
    { what: `the end of all processes in ${present.join(", ")}` },
  );
  await ipBatch(present.map((name) => `netns del ${name}`));
}
