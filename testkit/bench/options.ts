// Command line options of benches. Pure.
import type { Family } from "./addresses.ts";

/** An option that makes no sense; the message says which text. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** The short form is for CI. */
export type Length = "whole" | "short";

export interface Option<Value> {
  /** As shown in the help: "<n>". A flag without a value has none. */
  readonly placeholder?: string;
  readonly about: string;
  /** Its default: in a whole run, and in the short form of one. */
  readonly fallback: Readonly<Record<Length, Value>>;
  /** @throws OptionError */
  parse(text: string): Value;
}

/** @param short its default in the short form, if that differs */
export function number(about: string, whole: number, short = whole, least = 1): Option<number> {
  return { placeholder: "<n>", about, fallback: { whole, short }, parse: (text) => parseNumber(text, least) };
}

/** A number of any size with decimals, such as a bound of a ratio. */
export function ratio(about: string, whole: number, short = whole): Option<number> {
  return { placeholder: "<n.n>", about, fallback: { whole, short }, parse: parseRatio };
}

export function numbers(about: string, whole: readonly number[], short = whole, least = 1): Option<readonly number[]> {
  return { placeholder: "<n,n,…>", about, fallback: { whole, short }, parse: (text) => parseNumbers(text, least) };
}

export function names<T extends string>(
  about: string,
  known: readonly T[],
  whole: readonly T[],
  short = whole,
): Option<readonly T[]> {
  return { placeholder: "<names>", about, fallback: { whole, short }, parse: (text) => parseList(text, known) };
}

export function families(whole: readonly Family[]): Option<readonly Family[]> {
  const about = "address families of the guests";
  return { placeholder: "<4,6>", about, fallback: { whole, short: whole }, parse: parseFamilies };
}

export function flag(about: string): Option<boolean> {
  return { about, fallback: { whole: false, short: false }, parse: () => true };
}

export function parseNumber(text: string, least = 1): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least)) throw new OptionError(`"${text}" is not a number from ${least}`);
  return number;
}

export function parseRatio(text: string): number {
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) throw new OptionError(`"${text}" is not a number such as 0.8`);
  return Number(text);
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
