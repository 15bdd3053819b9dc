// Output of the demo: chapters, sentences, commands with their output, ticks and crosses. Independent of networks.
import type { WriteStream } from "node:tty";
import pc from "picocolors";

const width = 100;
const indent = "   ";

/** Breaks at spaces; a word longer than a line stays whole. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}

/** 0.12, 1.9, 14, 1,006: enough digits for a reader. */
export function formatMs(ms: number): string {
  const digits = ms < 1 ? 2 : ms < 10 ? 1 : 0;
  return `${ms.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

export class Story {
  readonly #colors: ReturnType<typeof pc.createColors>;
  #chapters = 0;
  #ended = false;

  constructor(private readonly stream: Pick<WriteStream, "write"> & { readonly isTTY?: boolean }) {
    this.#colors = pc.createColors(stream.isTTY === true && !process.env.NO_COLOR);
  }

  title(text: string): void {
    this.#line(`\n${this.#colors.bold(text)}`);
  }

  chapter(title: string): void {
    this.#chapters++;
    this.#line(`\n${this.#colors.cyan(String(this.#chapters))}  ${this.#colors.bold(title)}\n`);
  }

  say(text: string): void {
    for (const line of wrap(text, width - indent.length)) this.#line(indent + line);
  }

  blank(): void {
    this.#line("");
  }

  /** Small print below a paragraph, kept as it is. */
  note(text: string): void {
    this.#line(`${indent}  ${this.#colors.dim(text)}`);
  }

  /** A program's action: host, event, and result. */
  event(who: string, what: string, detail: string): void {
    const { cyan, yellow } = this.#colors;
    this.#line(`${indent}  ${cyan(who.padEnd(10))} ${yellow(what.padEnd(7))} ${detail}`);
  }

  command(text: string, output: string): void {
    this.#line(`${indent}  ${this.#colors.dim("$")} ${text}`);
    for (const line of output.split("\n").filter((each) => each.trim() !== "")) {
      this.#line(`${indent}    ${this.#colors.dim(line.trimEnd())}`);
    }
  }

  /** An expectation and whether it was met. */
  mark(held: boolean, text: string): void {
    const [sign, paint] = held ? ["✓", this.#colors.green] : ["✗", this.#colors.red];
    const [first = "", ...rest] = wrap(text, width - indent.length - 2);
    this.#line(`${indent}${paint(sign)} ${held ? first : this.#colors.red(first)}`);
    for (const line of rest) this.#line(`${indent}  ${line}`);
  }

  row(label: string, value: string, meaning: string): void {
    this.#line(`${indent}${label.padEnd(12)} ${this.#colors.bold(value.padStart(8))}   ${this.#colors.dim(meaning)}`);
  }

  /** Nothing is printed from now on: later events belong to the shutdown. */
  end(): void {
    this.#ended = true;
  }

  #line(text: string): void {
    if (!this.#ended) this.stream.write(`${text}\n`);
  }
}
