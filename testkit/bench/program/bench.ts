// `program`: how fast answers become kernel entries, three each: by the agent's own path, by a C program with batched rtnetlink, and by
// `bridge` and `ip`, started for each entry. In turns, in one namespace, beside tables of several sizes.
import { defined } from "../../../common/defined.ts";
import { toThousandths } from "../../../common/round.ts";
import { median } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import { CoreHost, capsFor } from "../core-host.ts";
import { NativeProgram } from "../native/native.ts";
import type { Progress } from "../progress.ts";
import { agentWriter, execWriter, makeFloor, nativeWriter, type Writer } from "./writers.ts";

export interface ProgramOptions {
  /** Answers that are cached and in the kernel already, one size after the other. */
  readonly cached: readonly number[];
  readonly rounds: number;
  /** In a turn. */
  readonly answers: number;
  /** The same for what starts processes. */
  readonly execAnswers: number;
  readonly bounds: ProgramBounds;
}

/** Least ratios of entries in a CPU second. */
interface ProgramBounds {
  readonly native: number;
  readonly exec: number;
}

const sideNames = ["batch", "single", "nativeBatch", "nativeSingle", "exec"] as const;
type SideName = (typeof sideNames)[number];

/** Entries. */
export interface Written {
  readonly perCpuSecond: number;
  readonly perSecond: number;
}

export interface SizeResult {
  readonly cached: number;
  /** Medians of all rounds; without C where nothing compiles it. */
  readonly sides: Readonly<Partial<Record<SideName, Written>>>;
  /** Of entries in a CPU second. */
  readonly ratios: {
    readonly batchToNative: number | null;
    readonly singleToNative: number | null;
    readonly batchToExec: number | null;
  };
}

export interface ProgramResult {
  readonly rounds: number;
  readonly answers: number;
  readonly perFrame: number;
  readonly sizes: readonly SizeResult[];
  readonly missed: readonly string[];
}

const entriesPerAnswer = 3;
/** Answers of a frame that is full of those to one host's questions. */
const perFrame = 64;
/** As the agent's request socket has it (request-socket.ts). */
const messagesPerSend = 64;
export async function programBench(options: ProgramOptions, progress: Progress): Promise<ProgramResult> {
  const { rounds, answers, bounds } = options;
  const native = await NativeProgram.compile("write-entries");
  try {
    const sizes: SizeResult[] = [];
    for (const cached of options.cached) sizes.push(await measureSize(cached, native, options, progress));
    return { rounds, answers, perFrame, sizes, missed: sizes.flatMap((size) => missedBy(size, bounds)) };
  } finally {
    native?.remove();
  }
}

async function measureSize(
  cached: number,
  native: NativeProgram | undefined,
  { rounds, answers, execAnswers }: ProgramOptions,
  progress: Progress,
): Promise<SizeResult> {
  progress(`${cached} answers into the kernel`);
  const host = await CoreHost.start(cached, { caps: capsFor(cached + answers) });
  try {
    const floor = await makeFloor(host.namespace);
    const natively = (messages: number) => native && nativeWriter(native, floor, messages);
    await natively(messagesPerSend)?.write(0, cached);
    const writers: Partial<Record<SideName, Writer>> = defined({
      batch: agentWriter(host, perFrame),
      nativeBatch: natively(messagesPerSend),
      single: agentWriter(host, 1),
      nativeSingle: natively(entriesPerAnswer),
      exec: execWriter(floor),
    });
    const sides = Object.entries(writers) as [SideName, Writer][];
    const turns = new Map<SideName, Written[]>(sides.map(([name]) => [name, []]));
    // What runs for the first time is slow: round 0 is not counted.
    for (let n = 0; n <= rounds; n++) {
      for (const [name, writer] of sides) {
        progress(`${cached} answers, round ${n} of ${rounds}: ${name}`);
        const count = name === "exec" ? execAnswers : answers;
        const { cpu, wall } = await writer.write(cached, count);
        // Each turn begins with tables of the same size.
        await writer.remove(cached, count);
        const entries = count * entriesPerAnswer;
        if (n > 0) turns.get(name)?.push({ perCpuSecond: entries / cpu, perSecond: entries / wall });
      }
    }
    return compare(cached, new Map([...turns].map(([name, taken]) => [name, summarize(taken)])));
  } finally {
    await host.remove();
  }
}

function summarize(turns: readonly Written[]): Written {
  return {
    perCpuSecond: Math.round(median(turns.map(({ perCpuSecond }) => perCpuSecond))),
    perSecond: Math.round(median(turns.map(({ perSecond }) => perSecond))),
  };
}

export function compare(cached: number, sides: ReadonlyMap<SideName, Written>): SizeResult {
  const ratio = (a: SideName, b: SideName): number | null => {
    const [one, other] = [sides.get(a), sides.get(b)];
    return one && other ? toThousandths(one.perCpuSecond / other.perCpuSecond) : null;
  };
  return {
    cached,
    sides: Object.fromEntries(sides),
    ratios: {
      batchToNative: ratio("batch", "nativeBatch"),
      singleToNative: ratio("single", "nativeSingle"),
      batchToExec: ratio("batch", "exec"),
    },
  };
}

function missedBy({ cached, ratios }: SizeResult, bounds: ProgramBounds): string[] {
  const beside = `beside ${cached.toLocaleString("en")} answers,`;
  return missedOf([
    { what: `the agent : batched rtnetlink in C, ${beside}`, ratio: ratios.batchToNative, least: bounds.native },
    { what: `the agent : a process for each entry, ${beside}`, ratio: ratios.batchToExec, least: bounds.exec },
  ]);
}
