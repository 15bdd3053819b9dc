// An import: lines in, one change set, a result for each line. Until the change set is decided, each line's parsed
// resource, name and number are kept in memory, but not its text.
import { inSlices, Slices } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import { type ProblemFault, problemUri } from "../../schema/plain/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import type { Mutation } from "../inventory/decide.ts";
import type { Steps } from "../inventory/steps.ts";
import type { Committer } from "../write/committer.ts";
import { ChangeSetRefused, maxRefusals } from "../write/orders.ts";
import type { Line } from "./lines.ts";
import { parseLine } from "./resource-line.ts";

/** Nothing was changed, and why, line by line. */
export class ImportRefused extends Error {
  override readonly name = "ImportRefused";
  readonly faults: readonly ProblemFault[];

  /** @param faults if their number is at the limit, later lines have not been checked */
  constructor(faults: readonly ProblemFault[]) {
    const lines = new Set(faults.map(({ line }) => line)).size;
    const most = faults.length >= maxRefusals;
    const rest = most ? `; after ${maxRefusals} faults the rest was not looked at` : "";
    super(
      `nothing was changed: ${most ? "at least " : ""}${lines} ${lines === 1 ? "line is" : "lines are"} refused${rest}`,
    );
    this.faults = faults;
  }
}

interface Subject {
  readonly line: number;
  readonly kind: ResourceKind;
  readonly name: string;
}

export type LineResult = "created" | "updated" | "unchanged" | "deleted";

export interface Imported {
  /** Revision of the import, or the current one if it changed nothing. */
  readonly revision: Revision;
  /** In the order of the lines. */
  readonly subjects: readonly Subject[];
  readonly resultOf: (subject: Subject) => LineResult;
}

/** The lines of an import as they arrive. */
class Intake {
  readonly mutations: Mutation[] = [];
  readonly subjects: Subject[] = [];
  readonly faults: ProblemFault[] = [];
  private readonly seen = new Map<string, number>();

  take({ number: line, text }: Line): void {
    const parsed = parseLine(text);
    if (parsed.is === "head") {
      if (this.subjects.length > 0) this.faults.push({ pointer: "/kind", detail: "comes first, if at all", line });
      return;
    }
    if (parsed.is === "bad") {
      this.faults.push(...parsed.faults.map((fault) => ({ ...fault, line })));
      return;
    }
    const { kind, name, mutation } = parsed;
    const earlier = this.seen.get(`${kind} ${name}`);
    if (earlier !== undefined) {
      this.faults.push({ pointer: "/name", detail: `${kind} "${name}" is on line ${earlier} already`, line });
      return;
    }
    this.seen.set(`${kind} ${name}`, line);
    this.mutations.push(mutation);
    this.subjects.push({ line, kind, name });
  }
}

/** @throws ImportRefused, BodyError, what `Committer.mutateAll` throws */
export async function importLines(
  chunks: AsyncIterable<readonly Line[]>,
  committer: Committer,
  by: Actor,
  options: { readonly dryRun: boolean },
): Promise<Imported> {
  const intake = new Intake();
  const slices = new Slices();
  for await (const lines of chunks) {
    for (const line of lines) {
      intake.take(line);
      if (intake.faults.length >= maxRefusals) throw new ImportRefused(intake.faults.slice(0, maxRefusals));
      if (slices.over) await slices.next();
    }
  }
  const { mutations, subjects, faults } = intake;
  if (faults.length > 0) throw new ImportRefused(faults);
  try {
    const { revision, touched } = await committer.mutateAll(by, mutations, options);
    const results = await inSlices(resultsOf(touched));
    return { revision, subjects, resultOf: ({ kind, name }) => results.get(`${kind} ${name}`) ?? "unchanged" };
  } catch (error) {
    if (!(error instanceof ChangeSetRefused)) throw error;
    throw new ImportRefused(refusedLines(error, subjects));
  }
}

function refusedLines({ refusals }: ChangeSetRefused, subjects: readonly Subject[]): ProblemFault[] {
  const faults = refusals.map(({ refusal, mutation }): ProblemFault => {
    const subject = mutation === undefined ? undefined : subjects[mutation];
    const at = subject ? { line: subject.line } : {};
    return { pointer: "", detail: refusal.message, type: problemUri(refusal.type), ...at };
  });
  return faults.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function* resultsOf(touched: readonly ResourceChange[]): Steps<Map<string, LineResult>> {
  const results = new Map<string, LineResult>();
  for (const { kind, before, after } of touched) {
    yield;
    const result =
      after === null ? "deleted" : before === null ? "created" : before === after ? "unchanged" : "updated";
    results.set(`${kind} ${(after ?? before)?.name}`, result);
  }
  return results;
}
