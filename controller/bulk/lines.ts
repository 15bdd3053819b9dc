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

/** The lines of each chunk as it arrives. @throws BodyError */
export async function* readLines(body: AsyncIterable<Buffer>): AsyncGenerator<Line[], void, void> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let number = 0;
  for await (const chunk of body) {
    const texts = (rest + decoder.write(chunk)).split("\n");
    rest = texts.pop() ?? "";
    const lines = texts.flatMap((text): Line[] => {
      number += 1;
      return text.trim() === "" ? [] : [{ number, text }];
    });
    if (rest.length > maxLineBytes || lines.some(({ text }) => text.length > maxLineBytes)) {
      throw new BodyError("line-too-long", `a line has at most ${maxLineBytes} characters: each resource is one line`);
    }
    yield lines;
  }
  const last = rest + decoder.end();
  if (last.trim() !== "") yield [{ number: number + 1, text: last }];
}
