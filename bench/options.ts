// What benches take on their command line. Pure.
import type { Family } from "./addresses.ts";

/** An option that makes no sense; the message says which text. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

export function parseNumber(text: string, least = 1): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least)) throw new OptionError(`"${text}" is not a number from ${least}`);
  return number;
}

export function parseNumbers(text: string, least: number): number[] {
  return text.split(",").map((each) => parseNumber(each, least));
}

/** Each of them once, in the order given. */
export function parseList<T extends string>(text: string, known: readonly T[]): T[] {
  const names = text.split(",").map((each) => {
    const found = known.find((name) => name === each);
    if (found === undefined) throw new OptionError(`"${each}" is none of ${known.join(", ")}`);
    return found;
  });
  return [...new Set(names)];
}

export function parseFamilies(text: string): Family[] {
  return parseList(text, ["4", "6"] as const).map((each) => (each === "4" ? 4 : 6));
}
