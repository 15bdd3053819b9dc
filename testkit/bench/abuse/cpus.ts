// Which processors attackers have, and which the attacked: the same in control and attack, so that both compare.
import { readFileSync } from "node:fs";

export interface Cpus {
  /** Of the controller and of the server that discards; of agents. */
  readonly attacked: string;
  readonly attackers: string;
  /** Of honest clients. */
  readonly honest: string;
}

/** @param allowed processors of this process, in order */
export function planCpus(allowed: readonly number[]): Cpus {
  const [first = 0] = allowed;
  const last = allowed.at(-1) ?? first;
  const middle = allowed.slice(1, -1);
  return {
    attacked: String(first),
    attackers: String(last),
    honest: middle.length > 0 ? middle.join(",") : String(last),
  };
}

/** Of this process (proc(5), Cpus_allowed_list). */
export function allowedCpus(): number[] {
  return parseCpuList(/^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0");
}

/** @param text as in "0-3,7" */
export function parseCpuList(text: string): number[] {
  return text.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
