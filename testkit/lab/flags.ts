// Flags of the programs that make a lab and print results.
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Ends `npm run <program>` with the fault; status 2 is for wrong options. */
export function stop(program: string, message: string, status: number): never {
  process.stderr.write(`nearmiss ${program}: ${message}\n`);
  process.exit(status);
}

/** Of this process; a wrong one ends it. */
export function parseFlags<Options extends NonNullable<ParseArgsConfig["options"]>>(program: string, options: Options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    if (error instanceof TypeError) return stop(program, `${error.message} (--help lists all options)`, 2);
    throw error;
  }
}
