// A body of NDJSON as lines, without ever holding more than one chunk of it and the line that it has begun.
import { StringDecoder } from "node:string_decoder";

/** Bytes; far more than the largest resource takes. */
export const maxLineBytes = 256 * 1024;

export interface Line {
  /** From 1. Empty lines count, and are left out. */
  readonly number: number;
  readonly text: string;
}

/** A body that is not an import, regardless of its lines. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  constructor(
    readonly reason: "missing" | "too-large" | "line-too-long",
    detail: string,
  ) {
    super(detail);
  }
}

/** @throws BodyError */
export function* readLines(body: Iterable<Buffer>): Generator<Line, void, void> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let number = 0;
  for (const chunk of body) {
    const texts = (rest + decoder.write(chunk)).split("\n");
    rest = texts.pop() ?? "";
    for (const text of texts) {
      number += 1;
      checkLength(text);
      if (text.trim() !== "") yield { number, text };
    }
    checkLength(rest);
  }
  const last = rest + decoder.end();
  if (last.trim() !== "") yield { number: number + 1, text: last };
}

function checkLength({ length }: string): void {
  if (length <= maxLineBytes) return;
  throw new BodyError("line-too-long", `a line has at most ${maxLineBytes} characters: each resource is one line`);
}
