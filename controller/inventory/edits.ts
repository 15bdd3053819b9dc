// What a change set does to the resources of one kind.

export interface Edit<T> {
  readonly before: T | null;
  readonly after: T | null;
  /** Of the mutation that wrote it last. */
  readonly mutation: number;
}

/** By name, in the order in which they were set first. A `Map` is one. */
export interface Edits<T> extends Iterable<readonly [name: string, edit: Edit<T>]> {
  readonly size: number;
  has(name: string): boolean;
  get(name: string): Edit<T> | undefined;
  set(name: string, edit: Edit<T>): unknown;
  values(): Iterable<Edit<T>>;
}
