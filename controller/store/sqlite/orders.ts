// What the event loop has the thread of commits do, and its answers. A large batch goes over in parts.
import type { Revision } from "../../../schema/address/index.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { replacementsIn } from "../../inventory/changes.ts";
import type { AuditRecord } from "../access-store.ts";
import type { AuthoredCommit, Commit, Receipt } from "../store.ts";
import { auditOf } from "./commit-rows.ts";
import type { StageCommit, StageExtent } from "./stages.ts";

export interface Receipts {
  readonly receipts: readonly Receipt[];
  readonly forget: readonly string[];
}

/** With its audit record in place of its author, who may have sets of networks and hosts. */
export interface WholeCommit extends Commit {
  readonly changes: readonly ResourceChange[];
  readonly audit: AuditRecord;
}

type PartOfCommit = Commit & { readonly changes: readonly ResourceChange[] };

/** Sent as JSON, which is written and read faster than objects are cloned. Each is answered with an `Answer`, in order. */
export type Order =
  | ({ readonly do: "all"; readonly batch: readonly WholeCommit[] } & Receipts)
  | { readonly do: "begin"; readonly after: Revision | undefined }
  | { readonly do: "remove"; readonly time: string; readonly changes: readonly ResourceChange[] }
  | { readonly do: "add"; readonly commit: PartOfCommit; readonly firstIndex: number }
  | { readonly do: "audit"; readonly record: AuditRecord }
  | ({ readonly do: "add receipts" } & Receipts)
  | { readonly do: "commit" }
  /** Answered with its id. The VMs are records in a file. */
  | { readonly do: "open stage"; readonly extent: StageExtent; readonly descriptor: number; readonly bytes: number }
  | {
      readonly do: "stage places";
      readonly stage: number;
      readonly changes: readonly ResourceChange[];
      readonly firstIndex: number;
    }
  /** Some records of the file. Answered with whether there are more, as are the next and the last. */
  | { readonly do: "stage more"; readonly stage: number }
  | { readonly do: "drop stage"; readonly stage: number }
  | ({ readonly do: "commit stage"; readonly audit: AuditRecord } & StageCommit & Receipts)
  /** Brings the tables of resources nearer to the head. */
  | { readonly do: "follow" };

/** Is not answered: the thread ends. */
export type End = { readonly do: "end" };

/** `head`: another writer was there before. `code` is SQLite's, where the error is. After an error nothing of the transaction is left. */
export type Answer =
  | { readonly ok: true; readonly more?: boolean; readonly stage?: number }
  | { readonly ok: false; readonly head: Revision }
  | { readonly ok: false; readonly message: string; readonly code?: string };

/** Of changes: a part is copied in about a millisecond. */
const partSize = 200;
/** Of changes: more go over in parts. */
const maxAtOnce = 512;
export function* ordersFor(
  batch: readonly AuthoredCommit[],
  receipts: readonly Receipt[],
  forget: readonly string[],
): Generator<Order> {
  if (batch.reduce((sum, { changes }) => sum + changes.length, 0) <= maxAtOnce) {
    const whole = batch.map((commit): WholeCommit => {
      const { revision, time, changes } = commit;
      return { revision, time, changes: [...changes], audit: auditOf(commit) };
    });
    yield { do: "all", batch: whole, receipts, forget };
    return;
  }
  yield { do: "begin", after: headBefore(batch) };
  // Each commit may depend on what the one before it removed and added.
  for (const commit of batch) {
    const { revision, time, changes } = commit;
    for (const part of inParts(replacementsIn(changes))) yield { do: "remove", time, changes: part };
    let firstIndex = 0;
    for (const part of inParts(changes)) {
      yield { do: "add", commit: { revision, time, changes: part }, firstIndex };
      firstIndex += part.length;
    }
    yield { do: "audit", record: auditOf(commit) };
  }
  if (receipts.length + forget.length > 0) yield { do: "add receipts", receipts, forget };
  yield { do: "commit" };
}

export function* inParts(changes: Iterable<ResourceChange>): Generator<readonly ResourceChange[]> {
  let part: ResourceChange[] = [];
  for (const change of changes) {
    part.push(change);
    if (part.length < partSize) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** The revision that the batch was decided on; undefined: it has none of its own. */
export function headBefore([first]: readonly Commit[]): Revision | undefined {
  return first && ((first.revision - 1) as Revision);
}
