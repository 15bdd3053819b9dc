// A bench as the command line sees it: what it is about, what it takes, how it is run and told.
import { defined } from "../../common/defined.ts";
import { type Length, type Option, OptionError } from "./options.ts";
import type { Progress } from "./progress.ts";

/** The options of a bench, by the name of the flag. */
type Options<Values> = { readonly [Name in keyof Values]: Option<Values[Name]> };

interface Kind<Values, Result extends object> {
  readonly about: string;
  /** Additional text of its own help; absent: none. */
  readonly details?: string;
  readonly options: Options<Values>;
  run(values: Values, progress: Progress): Promise<Result>;
  report(result: Result): string;
  /** Whether it meets its target; absent: it has none. */
  holds?(result: Result): boolean;
}

export interface Outcome {
  readonly result: object;
  readonly text: string;
  readonly holds: boolean;
}

export interface Bench {
  readonly about: string;
  readonly details?: string;
  readonly options: Readonly<Record<string, Option<unknown>>>;
  /** @param given texts of the options that are given, true for a flag @throws OptionError */
  start(given: Given, length: Length, progress: Progress): () => Promise<Outcome>;
}

export type Given = Readonly<Record<string, string | boolean | undefined>>;

export function bench<Values, Result extends object>(kind: Kind<Values, Result>): Bench {
  const { about, details, options, run, report, holds } = kind;
  return {
    about,
    ...defined({ details }),
    options,
    start(given, length, progress) {
      const flags = Object.keys(options) as (keyof Values & string)[];
      const values = Object.fromEntries(flags.map((name) => [name, read(name, options[name], given[name], length)]));
      return async () => {
        const result = await run(values as Values, progress);
        return { result, text: report(result), holds: holds?.(result) ?? true };
      };
    },
  };
}

function read<Value>(name: string, option: Option<Value>, text: Given[string], length: Length): Value {
  if (text === undefined) return option.fallback[length];
  try {
    return option.parse(String(text));
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`--${name}: ${error.message}`);
    throw error;
  }
}
