// The messages of the event stream other than the changes of `log.ts`: resume positions and bookmarks.
import { parseRevision, type Revision } from "../address/index.ts";
import type { ChangeVerb, ResourceKind } from "./log.ts";

/** Everything up to here has been received. */
export interface EventCursor {
  /** Where given, the store must be this one: revisions of different epochs are not comparable. */
  readonly epoch?: string;
  readonly revision: Revision;
  /** Absent: the whole revision. */
  readonly index?: number;
}

export const cursorPattern = "^([0-9a-f-]{36}/)?\\d{1,15}(\\.\\d{1,9})?$";

/** `[<epoch>/]<revision>[.<index>]`, or undefined. */
export function findCursor(text: string): EventCursor | undefined {
  if (!new RegExp(cursorPattern).test(text)) return undefined;
  const [position = "", epoch] = text.split("/").reverse();
  const [revision, index] = position.split(".");
  return {
    ...(epoch === undefined ? {} : { epoch }),
    revision: parseRevision(Number(revision)),
    ...(index === undefined ? {} : { index: Number(index) }),
  };
}

export function formatCursor({ epoch, revision, index }: EventCursor): string {
  const position = index === undefined ? `${revision}` : `${revision}.${index}`;
  return epoch === undefined ? position : `${epoch}/${position}`;
}

const changeKinds: readonly ResourceKind[] = ["network", "host", "vm"];
const changeVerbs: readonly ChangeVerb[] = ["created", "updated", "deleted"];

/** CloudEvents types of changes. */
export const changeTypes = changeKinds.flatMap((kind) =>
  changeVerbs.map((verb) => `nearmiss.${kind}.${verb}` as const),
);

/** The meaning of a type in a filter: the type itself, or all types that start with it and a dot. */
export function coversType(wanted: string, type: string): boolean {
  return type === wanted || type.startsWith(`${wanted}.`);
}

/**
 * States that the consumer has received everything up to the end of a revision, even if it may not see any of it. It is
 * sent when the log has been replayed, and then at every heartbeat. Not a change: it has no `index`.
 */
export interface BookmarkCloudEvent {
  readonly specversion: "1.0";
  /** The revision in digits. */
  readonly id: string;
  readonly source: string;
  readonly type: "nearmiss.bookmark";
  readonly time: string;
  readonly revision: number;
}

export function toBookmark(revision: Revision, epoch: string, now: Date): BookmarkCloudEvent {
  return {
    specversion: "1.0",
    id: String(revision),
    source: `/nearmiss/${epoch}`,
    type: "nearmiss.bookmark",
    time: now.toISOString(),
    revision,
  };
}
