// What a process takes over time, and whether that is flat.
import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  /** Resident memory, MiB. */
  readonly memory: number;
  readonly descriptors: number;
}

/** @throws where the process is gone */
export function usageOf(pid: number): Usage {
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  return { memory: Math.round(kibibytes / 1_024), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** The middle of the first and of the last third. */
export interface Growth {
  readonly memory: readonly [number, number];
  readonly descriptors: readonly [number, number];
}

/** Caches that fill and heaps that have not been swept yet are no leak. */
const memorySlack = { factor: 1.25, mebibytes: 24 };
/** Requests under way when it was looked. */
const descriptorSlack = 24;

export function growthOf(samples: readonly Usage[]): Growth {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const ends = [samples.slice(0, third), samples.slice(-third)] as const;
  const of = (what: keyof Usage): [number, number] => [
    median(ends[0].map((each) => each[what])),
    median(ends[1].map((each) => each[what])),
  ];
  return { memory: of("memory"), descriptors: of("descriptors") };
}

/** @returns what is not flat */
export function leaksOf({ memory, descriptors }: Growth): string[] {
  const [before, after] = memory;
  return [
    ...(after > before * memorySlack.factor + memorySlack.mebibytes ? [`memory from ${before} to ${after} MiB`] : []),
    ...(descriptors[1] > descriptors[0] + descriptorSlack
      ? [`descriptors from ${descriptors[0]} to ${descriptors[1]}`]
      : []),
  ];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
