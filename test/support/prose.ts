// The text in source files and pages: comments and messages by a parser, pages without their code.
import { parseSync } from "vite";
import { placeholder } from "./words-to-avoid.ts";

export interface Passage {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

export interface Prose {
  /** String literals, template literals and JSX text of at least two words: others are keys and names. */
  readonly messages: readonly Passage[];
  /** Block comments, and line comments that follow each other as one. */
  readonly comments: readonly Passage[];
  /** Lines of comments that have a word in them. */
  readonly commentLines: number;
}

/** As much of an ESTree node as the walk needs. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly value?: unknown;
  readonly [field: string]: unknown;
}

interface Comment {
  readonly type: "Line" | "Block";
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/**
 * TypeScript 7 exposes its syntax tree as "unstable" only, so the parser is oxc, which is part of vite.
 * @throws Error if the file does not parse
 */
export function proseOf(file: string, source: string): Prose {
  const { program, comments, errors } = parseSync(file, source);
  const [error] = errors;
  if (error) throw new Error(`${file}: ${error.message}`);
  const lineAt = lineCounter(source);
  const joined = joinLineComments(source, comments as readonly Comment[]);
  return {
    messages: messagesIn(program as unknown as Node).map(({ start, text }) => ({ line: lineAt(start), text })),
    comments: joined.map(({ start, value }) => ({ line: lineAt(start), text: value })),
    commentLines: comments.flatMap(({ value }) => value.split("\n")).filter((line) => /\w/.test(line)).length,
  };
}

/** A page without fenced blocks, inline code and targets of links, which are not prose. Lines keep their numbers. */
export function pageText(markdown: string): string {
  const blank = (text: string): string => text.replace(/[^\n]+/g, " ");
  return [/^(`{3,})[^\n]*\n[\s\S]*?^\1 *$/gm, /`[^`]*`/g, /\]\([^)\s]*\)/g].reduce(
    (text, pattern) => text.replace(pattern, blank),
    markdown,
  );
}

function messagesIn(root: Node): { start: number; text: string }[] {
  const found: { start: number; text: string }[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    if (!isNode(value)) return;
    const text = literalText(value);
    if (text !== undefined && isMessage(value.type, text)) found.push({ start: value.start, text });
    for (const field of Object.values(value)) if (typeof field === "object" && field !== null) visit(field);
  };
  visit(root);
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function literalText({ type, value, quasis }: Node): string | undefined {
  if (type === "Literal" || type === "JSXText") return typeof value === "string" ? value : undefined;
  if (type !== "TemplateLiteral") return undefined;
  return (quasis as readonly { value: { cooked: string | null; raw: string } }[])
    .map(({ value: { cooked, raw } }) => cooked ?? raw)
    .join(placeholder);
}

function isMessage(type: string, text: string): boolean {
  return type === "JSXText" ? /\w/.test(text) : /\S\s+\S/.test(text);
}

/** A sentence may span several lines, each of which is a comment for the parser. */
function joinLineComments(source: string, comments: readonly Comment[]): Comment[] {
  const joined: Comment[] = [];
  for (const comment of comments) {
    const before = joined.at(-1);
    const follows =
      before?.type === "Line" && comment.type === "Line" && /^\s*$/.test(source.slice(before.end, comment.start));
    if (!follows)
      joined.push({ ...comment, value: comment.type === "Block" ? withoutStars(comment.value) : comment.value });
    else joined[joined.length - 1] = { ...before, value: `${before.value}\n${comment.value}`, end: comment.end };
  }
  return joined;
}

function withoutStars(text: string): string {
  return text.replace(/\n\s*\*/g, "\n");
}

function lineCounter(source: string): (offset: number) => number {
  const starts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    const next = starts.findIndex((start) => start > offset);
    return next < 0 ? starts.length : next;
  };
}
