// An import: lines in, one change set, a result for each line. Lines are read from the body twice, once to check each by itself and
// once for the decision; what they change is kept in records. So memory grows by some bytes for a line, not by its resource.
import { Slices } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import type { Revision } from "../../schema/address/index.ts";
import { type ProblemFault, problemUri } from "../../schema/plain/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import { leavesAddress, type Mutation, type MutationResult, type Numbered } from "../inventory/decide.ts";
import type { SpooledRecords } from "../inventory/records.ts";
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
  const { assigns } = await checkLines(readLines(read()));
  const results = newRecords();
  const changes = newRecords();
  let counts = noCounts();
  const changeSet: ChangeSet = {
    mutations: { [Symbol.iterator]: () => mutationsIn(readLines(read())) },
    assigns,
    dryRun,
    stage: () => {
      results.close();
      changes.close();
      counts = noCounts();
      return changes;
    },
    listener: {
      laid: ({ number, mutation }, result) => {
        counts[result] += 1;
        results.append(JSON.stringify({ line: number, ...subjectOf(mutation), result }));
      },
    },
  };
  try {
    const revision = await committer.mutateAll(by, changeSet);
    return { revision, counts, results };
  } catch (error) {
    results.close();
    if (!(error instanceof ChangeSetRefused)) throw error;
    throw new ImportRefused(refusedLines(error));
  } finally {
    changes.close();
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
