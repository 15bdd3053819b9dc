// The resources of a process over time, and whether they are flat.
import { readdirSync, readFileSync } from "node:fs";
import type { LabProcess } from "../lab/process.ts";
import { median } from "../statistics.ts";

export interface Usage {
  /** Memory after a garbage collection, MiB. */
  readonly live: number;
  /** Resident memory, MiB: including memory that V8 and SQLite keep for later, and memory outside of every heap. */
  readonly resident: number;
  readonly descriptors: number;
}

/** The message of a program that `live-memory.ts` was loaded into, with its `bytes`. */
export const liveMemoryMessage = "live memory";

const mebibyte = 1_048_576;

/** Of a program that `live-memory.ts` was loaded into. @throws ProcessEndedError, WaitError */
export async function usageOf(program: LabProcess): Promise<Usage> {
  const told = program.nextLog(({ msg }) => msg === liveMemoryMessage, "its live memory");
  program.signal("SIGWINCH");
  const { bytes } = await told;
  const status = readFileSync(`/proc/${program.pid}/status`, "utf8");
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return {
    live: Math.round((Number(bytes) / mebibyte) * 10) / 10,
    resident: Math.round(kibibytes / 1_024),
    descriptors: readdirSync(`/proc/${program.pid}/fd`).length,
  };
}

/** The middle of the first and of the last third. */
export type Growth = { readonly [each in keyof Usage]: readonly [number, number] };

/**
 * Growth that is not a leak: caches that fill, an inventory that is larger at the end, requests in progress at the
 * measurement.
 */
const slack = {
  live: { factor: 1.25, more: 4 },
  resident: { factor: 1.25, more: 24 },
  descriptors: { factor: 1, more: 24 },
} as const satisfies Record<keyof Usage, unknown>;
/** Until then resident memory is that of a heap which has not found its size, minutes. */
const residentTellsAfter = 10;

export function growthOf(samples: readonly Usage[]): Growth {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const ends = [samples.slice(0, third), samples.slice(-third)] as const;
  const of = (what: keyof Usage): [number, number] => [
    median(ends[0].map((each) => each[what])),
    median(ends[1].map((each) => each[what])),
  ];
  return { live: of("live"), resident: of("resident"), descriptors: of("descriptors") };
}

/** @param minutes of the run in which it grew @returns what is not flat */
export function leaksOf(growth: Growth, minutes: number): string[] {
  const judged = (Object.keys(slack) as (keyof Usage)[]).filter(
    (what) => what !== "resident" || minutes >= residentTellsAfter,
  );
  return judged
    .filter((what) => growth[what][1] > growth[what][0] * slack[what].factor + slack[what].more)
    .map((what) => `${named[what]} from ${growth[what].join(" to ")}`);
}

const named = {
  live: "live memory, MiB,",
  resident: "resident memory, MiB,",
  descriptors: "file descriptors",
} as const satisfies Record<keyof Usage, string>;

/** For people. */
export function describe({ live, resident, descriptors }: Growth): string {
  const change = (pair: readonly [number, number]): string => pair.join(" → ");
  return `live memory ${change(live)} MiB, resident ${change(resident)} MiB, file descriptors ${change(descriptors)}`;
}
