// Validates the events that a consumer received: in order, each once, none missing, none for others. Pure.

/** A position in the log as one number, so that a million take little room: revision and index, which is below 4096. */
export type Position = number;

const indexes = 4_096;

export function position(revision: number, index: number): Position {
  if (index >= indexes) throw new RangeError(`index ${index} is beyond ${indexes - 1}`);
  return revision * indexes + index;
}

/** Behind everything of the revision. */
export function endOf(revision: number): Position {
  return revision * indexes + (indexes - 1);
}

export function formatPosition(at: Position): string {
  return `${Math.floor(at / indexes)}.${at % indexes}`;
}

/**
 * The events that a consumer received after one starting point. Reconnecting after the last event continues it; a new
 * one starts with a snapshot.
 */
export interface Segment {
  readonly after: Position;
  readonly received: Position[];
  /** The furthest that a bookmark said, with how much had been received by then. */
  readonly bookmarks: { readonly upTo: Position; readonly received: number }[];
}

/**
 * @param expected all positions for the consumer, in order
 * @param complete bookmark up to which it has everything
 * @returns the first violation of each segment, in words
 */
export function findViolations(
  segments: readonly Segment[],
  expected: readonly Position[],
  complete: Position,
): string[] {
  return segments.flatMap((segment, i) => {
    const isLast = i === segments.length - 1;
    return findViolation(segment, expected, isLast ? complete : undefined) ?? findStep(segments[i - 1], segment) ?? [];
  });
}

function findViolation(
  { after, received, bookmarks }: Segment,
  expected: readonly Position[],
  complete: Position | undefined,
): string | undefined {
  const first = countUpTo(expected, after);
  for (let i = 0; i < received.length; i++) {
    const got = received[i] as Position;
    const wanted = expected[first + i];
    if (got !== wanted) return describe(got, wanted, received.slice(0, i));
  }
  for (const bookmark of bookmarks) {
    const due = Math.max(0, countUpTo(expected, bookmark.upTo) - first);
    if (due > bookmark.received) {
      return `gap: a bookmark says ${formatPosition(bookmark.upTo)}, ${due - bookmark.received} up to it had not come`;
    }
  }
  if (complete === undefined) return undefined;
  const missing = countUpTo(expected, complete) - first - received.length;
  return missing > 0 ? `gap: ${missing} at the end` : undefined;
}

function describe(got: Position, wanted: Position | undefined, before: readonly Position[]): string {
  const at = `${formatPosition(got)} came`;
  if (before.includes(got)) return `duplicate: ${at} twice`;
  if (wanted === undefined) return `foreign: ${at}, and nothing was due`;
  const due = `${formatPosition(wanted)} was due`;
  return got > wanted ? `gap: ${at} where ${due}` : `order or filter: ${at} where ${due}`;
}

/** A snapshot must not lead back. */
function findStep(before: Segment | undefined, { after }: Segment): string | undefined {
  const last = before?.received.at(-1) ?? before?.after ?? 0;
  return after < last ? `back: a start behind ${formatPosition(after)} after ${formatPosition(last)}` : undefined;
}

/** How many of the ascending `positions` are at or before `upTo`. */
function countUpTo(positions: readonly Position[], upTo: Position): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] as Position) <= upTo) low = middle + 1;
    else high = middle;
  }
  return low;
}
