// What the main thread and the thread that answers misses share: words of control, the ring of records, messages. No I/O.
import type { SharedTable } from "../../tables/replica-rows.ts";
import type { FrameTemplate, RequestTemplate } from "./templates.ts";

/** Networks that the thread serves at one time: a socket's filter has no more devices. */
export const maxServed = 256;

/** Words of `Control`. Each has one writer. */
export const control = {
  /** Messages that the main thread has posted. */
  posted: 0,
  /** Of those, how many the thread has taken. */
  taken: 1,
  /** Not 0: the thread ends. */
  stop: 2,
  /** Not 0: a byte is in the pipe, and the main thread will read the ring. Both write it. */
  woken: 3,
  /** Counts rounds of the thread's loop, so that a thread that does not move is noticed. */
  rounds: 4,
  /** Odd while the thread works on a miss. */
  misses: 5,
  /** Not 0: the main thread waits for the end of a miss. Both write it. */
  fence: 6,
  /** Records that the thread has written, and that the main thread has read; both wrap around. */
  written: 7,
  read: 8,
  /** Runs on made-up data, their time in µs, and the present interval in ms; 0: none. */
  heats: 9,
  heatUs: 10,
  heatMs: 11,
  /**
   * By slot of a network: answers that the thread may have given, and those that it has. Both only grow, and wrap around. The last slot is that of
   * made-up misses.
   */
  allowed: 16,
  given: 16 + maxServed + 1,
} as const;
const slots = maxServed + 1;
export const madeUpSlot = slots - 1;
export const controlWords = 16 + 2 * slots;

/** Records of the ring. A thread that finds it full waits, and the kernel counts what it drops then. */
export const ringRecords = 1_024;
/** Words of a record. */
export const record = {
  kind: 0,
  ifindex: 1,
  slot: 2,
  /** 4 or 6. */
  family: 3,
  ip: 4,
  /** In ms of the main thread's clock, as doubles: the kernel's message was read, entries acknowledged, reply sent (0: not). */
  missedMs: 8,
  writtenMs: 10,
  repliedMs: 12,
  macHigh: 14,
  macLow: 15,
  vtep: 16,
  vtepPort: 20,
  router: 21,
  askerHigh: 22,
  askerLow: 23,
  askerIp: 24,
  revisionHigh: 28,
  revisionLow: 29,
} as const;
export const recordWords = 32;

export const kinds = {
  /** Handed over as it was read: nothing was written. */
  missed: 1,
  /** Entries were written, or some of them, and a reply sent where `repliedMs` says so. */
  answered: 2,
} as const;

/** What the thread has from its start. */
export interface ThreadData {
  readonly control: Int32Array;
  readonly ring: Uint32Array;
  readonly sockets: {
    /** Misses of served devices. */
    readonly misses: number;
    /** Requests, connected to the kernel. */
    readonly requests: number;
    /** Frames to guests' ports. */
    readonly frames: number;
    /** A packet socket that hears nothing, for runs on made-up data. */
    readonly deaf: number;
    /** The end of the pipe that wakes the main thread. */
    readonly wake: number;
  };
  readonly requests: readonly RequestTemplate[];
  readonly replies: readonly FrameTemplate[];
  /** Interval of runs on made-up data, ms; 0: none. */
  readonly heatMs: number;
  /** Of the main thread: the monotonic clock at its time 0, ms. */
  readonly originMs: number;
}

/** A message to the thread. */
export type ThreadMessage =
  | {
      readonly do: "serve";
      readonly slot: number;
      /** Of the vxlan device, and of its bridge. */
      readonly ifindex: number;
      readonly bridgeIfindex: number;
      /** A packet socket on the bridge. */
      readonly questions: number;
      readonly table: SharedTable;
      readonly untilMs: number;
    }
  | { readonly do: "leave"; readonly ifindex: number };

/** The monotonic clock when this thread's `performance.now()` was 0, ms. */
export function clockOriginMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6 - performance.now();
}
