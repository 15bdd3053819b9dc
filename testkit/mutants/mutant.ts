// A change of a source, and whether a test noticed it. Pure.

export interface Mutant {
  readonly file: string;
  /** From 1 on, for people. */
  readonly line: number;
  /** Its place and its change in words: the same wherever the line moves to, as survivors.json lists it. */
  readonly name: string;
  /** A test failed or did not end. */
  readonly killed: boolean;
}

/** From 1 on. */
interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Change {
  readonly file: string;
  readonly location: { readonly start: Position; readonly end: Position };
  readonly replacement: string;
}

/** `<file> | <line> | <before> → <after>`, long texts cut. */
export function nameOf({ file, location: { start, end }, replacement }: Change, source: string): string {
  const lines = source.split("\n");
  const changed = lines.slice(start.line - 1, end.line);
  const last = changed.length - 1;
  // From the end: on a single line the start would shift the column of the end.
  changed[last] = changed[last]?.slice(0, end.column - 1) ?? "";
  changed[0] = changed[0]?.slice(start.column - 1) ?? "";
  return `${file} | ${short(lines[start.line - 1] ?? "")} | ${short(changed.join("\n"))} → ${short(replacement)}`;
}

const maxText = 80;

function short(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > maxText ? `${line.slice(0, maxText)}…` : line;
}
