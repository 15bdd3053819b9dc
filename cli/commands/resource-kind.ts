// How the command line shows a kind of resource.
import type { Cell } from "../output.ts";

/** The fields that all resources show. */
export interface View {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
  readonly revision: number;
}

export interface Resource<V extends View> {
  readonly kind: "network" | "host" | "vm";
  /** In paths and answers. */
  readonly plural: string;
  /** In sentences: one, and many. */
  readonly noun: string;
  readonly nouns: string;
  readonly header: readonly string[];
  row(view: V): readonly Cell[];
  /** Further columns, of `-o wide`. */
  readonly wideHeader: readonly string[];
  wideRow(view: V): readonly Cell[];
  fields(view: V): readonly (readonly [string, Cell])[];
  /** The reason why the wait failed; the write remains in effect. */
  pending?(view: V): string | undefined;
}
