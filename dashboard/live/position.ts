// The position of a follower in the log: what it has seen, and from where it must read again. Pure.
export interface Position {
  readonly revision: number;
  readonly index: number;
}

/** All of `revision` is known: the state was read at it, or a bookmark says so. */
export function whollyAt(revision: number): Position {
  return { revision, index: Number.MAX_SAFE_INTEGER };
}

/** As `/v1/events` takes it (`formatCursor` in schema/events/stream.ts). A connection can end in the middle of a revision. */
export function cursorOf(epoch: string, { revision, index }: Position): string {
  return index === Number.MAX_SAFE_INTEGER ? `${epoch}/${revision}` : `${epoch}/${revision}.${index}`;
}

export function isNew(seen: Position, { revision, index }: Position): boolean {
  return revision > seen.revision || (revision === seen.revision && index > seen.index);
}
