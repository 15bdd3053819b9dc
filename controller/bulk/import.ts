// An import: lines in, one change set, a result for each line. Lines are checked while they are decided. Where a line is wrong or leaves an
// address to the controller, they are read again: once to check each by itself, then for the decision. What they change is kept in
// records, so memory grows by some bytes for a line, not by its resource.
import { Slices } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import type { Revision } from "../../schema/address/index.ts";
import { type ProblemFault, problemUri } from "../../schema/plain/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import { leavesAddress, type Mutation, type MutationResult, type Numbered } from "../inventory/decide.ts";
import type { SpooledRecords } from "../inventory/records.ts";
import { EditedTwiceError } from "../inventory/staged-edits.ts";
import type { Committer } from "../write/committer.ts";
import { type ChangeSet, ChangeSetRefused, maxRefusals } from "../write/orders.ts";
import { type Line, readLines } from "./lines.ts";
import { type Parsed, parseLine } from "./resource-line.ts";
import { SeenNames } from "./seen-names.ts";

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

export interface Imported {
  /** Revision of the import, or the current one if it changed nothing. */
  readonly revision: Revision;
  readonly counts: Readonly<Record<MutationResult, number>>;
  /** A line of text for each line of the import, in their order. To be closed. */
  readonly results: SpooledRecords;
}

export interface ImportDeps {
  readonly committer: Pick<Committer, "mutateAll">;
  readonly newRecords: () => SpooledRecords;
}

/**
 * @param read the body, from its beginning
 * @throws ImportRefused, BodyError, what `Committer.mutateAll` throws
 */
export async function importLines(
  read: () => Iterable<Buffer>,
  { committer, newRecords }: ImportDeps,
  by: Actor,
  { dryRun }: { readonly dryRun: boolean },
): Promise<Imported> {
  const results = newRecords();
  const changes = newRecords();
  let counts = noCounts();
  const lines = new PlainLines(read);
  const changeSet: ChangeSet = {
    mutations: lines,
    assigns: false,
    dryRun,
    stage: () => {
      results.close();
      changes.close();
      counts = noCounts();
      lines.laid = 0;
      return changes;
    },
    listener: {
      laid: ({ number, mutation }, result) => {
        counts[result] += 1;
        lines.laid += 1;
        const { kind, name } = subjectOf(mutation);
        // The same as of an object. Names have no character that JSON escapes.
        results.append(`{"line":${number},"kind":"${kind}","name":"${name}","result":"${result}"}`);
      },
    },
  };
  try {
    const revision = await committer.mutateAll(by, changeSet).catch(async (error: unknown) => {
      if (!lines.mustBeChecked(error)) throw error;
      const { assigns } = await checkLines(readLines(read()));
      const mutations = { [Symbol.iterator]: () => mutationsIn(readLines(read())) };
      return committer.mutateAll(by, { ...changeSet, mutations, assigns });
    });
    return { revision, counts, results };
  } catch (error) {
    results.close();
    if (!(error instanceof ChangeSetRefused)) throw error;
    throw new ImportRefused(refusedLines(error));
  } finally {
    changes.close();
  }
}

/** A line that is more than a plain change: what has to be done about it depends on the other lines. */
class OddLineError extends Error {
  override readonly name = "OddLineError";
}

/** Lines of an import that nobody has checked. Most imports have no odd line, and are parsed once. */
class PlainLines implements Iterable<Numbered> {
  /** How many of them the decision has laid. */
  laid = 0;
  private count = 0;
  private isRead = false;

  constructor(private readonly read: () => Iterable<Buffer>) {}

  *[Symbol.iterator](): Generator<Numbered, void, void> {
    this.count = 0;
    this.isRead = false;
    const seen = new SeenNames();
    let deletes = false;
    for (const { number, text } of readLines(this.read())) {
      const parsed = parseLine(text);
      if (parsed.is === "head" && this.count === 0) continue;
      if (parsed.is !== "mutation" || leavesAddress(parsed.mutation)) throw new OddLineError();
      const { kind, name, mutation } = parsed;
      deletes ||= mutation.kind.endsWith(".delete");
      // The decision finds a VM that comes twice, unless the first line deletes one that is not there.
      if ((kind !== "vm" || deletes) && seen.see(kind, name, number) !== undefined) throw new OddLineError();
      this.count += 1;
      yield { number, mutation };
    }
    this.isRead = true;
  }

  /** Whether the decision has ended with an error that says less than checked lines would. */
  mustBeChecked(error: unknown): boolean {
    if (error instanceof OddLineError || error instanceof EditedTwiceError) return true;
    // All lines are right, and the rules have refused some.
    const isComplete = this.isRead && this.laid === this.count;
    return error instanceof ChangeSetRefused && !isComplete;
  }
}

const noCounts = (): Record<MutationResult, number> => ({ created: 0, updated: 0, unchanged: 0, deleted: 0 });

/** All that can be wrong with a line by itself, and names that come twice. @throws ImportRefused */
async function checkLines(lines: Iterable<Line>): Promise<Pick<ChangeSet, "assigns">> {
  const seen = new SeenNames();
  const slices = new Slices();
  const faults: ProblemFault[] = [];
  let assigns = false;
  for (const { number: line, text } of lines) {
    const parsed = parseLine(text);
    assigns ||= parsed.is === "mutation" && leavesAddress(parsed.mutation);
    faults.push(...faultsOf(parsed, line, seen));
    if (faults.length >= maxRefusals) throw new ImportRefused(faults.slice(0, maxRefusals));
    if (slices.over) await slices.next();
  }
  if (faults.length > 0) throw new ImportRefused(faults);
  return { assigns };
}

function faultsOf(parsed: Parsed, line: number, seen: SeenNames): ProblemFault[] {
  if (parsed.is === "head")
    return seen.size === 0 ? [] : [{ pointer: "/kind", detail: "comes first, if at all", line }];
  if (parsed.is === "bad") return parsed.faults.map((fault) => ({ ...fault, line }));
  const { kind, name } = parsed;
  const earlier = seen.see(kind, name, line);
  if (earlier === undefined) return [];
  return [{ pointer: "/name", detail: `${kind} "${name}" is on line ${earlier} already`, line }];
}

/** Of lines that were checked. */
function* mutationsIn(lines: Iterable<Line>): Generator<Numbered, void, void> {
  for (const { number, text } of lines) {
    const parsed = parseLine(text);
    if (parsed.is === "mutation") yield { number, mutation: parsed.mutation };
  }
}

function subjectOf(mutation: Mutation): { readonly kind: string | undefined; readonly name: string } {
  const [kind] = mutation.kind.split(".");
  return { kind, name: "spec" in mutation ? mutation.spec.name : mutation.name };
}

function refusedLines({ refusals }: ChangeSetRefused): ProblemFault[] {
  const faults = refusals.map(({ refusal, mutation: line }): ProblemFault => {
    return { pointer: "", detail: refusal.message, type: problemUri(refusal.type), ...defined({ line }) };
  });
  return faults.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}
