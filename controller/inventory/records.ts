// Texts that are written once, in order, and read any number of times: in memory, or on disk where there are many.

export interface Records extends Iterable<string> {
  /** @param text without line breaks. @returns its place, for `read` @throws where the disk is full */
  append(text: string): number;
  /** The record at the place. */
  read(place: number): string;
  /** The descriptor of a file with all of it, for another thread of this process; undefined: it is small, and in memory. */
  file(): number | undefined;
  readonly bytes: number;
}

/** With what only their owner does. */
export interface SpooledRecords extends Records {
  /** All bytes in order, a line break behind each record. */
  chunks(): Iterable<Buffer>;
  /** Nothing is left of them: they are empty. */
  close(): void;
}
