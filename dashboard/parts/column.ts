// One column of a list.
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  readonly title: string;
  /** Right-aligned, digits of equal width. */
  readonly isNumber?: boolean;
  /** The server sorts by it, as its list takes `sort`. */
  readonly sort?: string;
  readonly cell: (row: Row) => ComponentChildren;
}
