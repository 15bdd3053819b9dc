// Finds the command on the line, and loads it alone, with the flags that live beside its program. What needs no command,
// such as the list of all, loads none.
import { canonicalWords, unknownCommand } from "../cli/words.ts";
import { commands } from "./commands.ts";

const given = process.argv.slice(2);
const words = canonicalWords(given);
const [first] = words;

// A reader that closes early, such as `head`, is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

if (first === "" || first === "help" || first === "--help" || first === "-h") await printHelp();
else if (first === "complete" || commands.some(({ name }) => name === first)) {
  // A miss is rare and must be fast: V8 compiles at once, and never discards unused compiled code.
  if (first === "controller" || first === "agent") {
    const { setFlagsFromString } = process.getBuiltinModule("node:v8");
    setFlagsFromString("--always-sparkplug");
    setFlagsFromString("--no-flush-bytecode");
  }
  const { run } = await import("./run.ts");
  await run(words);
} else {
  process.stderr.write(refusal(first ?? ""));
  process.exitCode = 2;
}

/** Without any word it is wrong usage. */
async function printHelp(): Promise<void> {
  const { rootHelp } = await import("./help.ts");
  const stream = given.length === 0 ? process.stderr : process.stdout;
  stream.write(rootHelp(stream.columns ?? 80));
  if (given.length === 0) process.exitCode = 2;
}

function refusal(word: string): string {
  if (word.startsWith("-")) {
    return `error: ${word} comes before a command: write options after it, as in \`nearmiss vm list --help\`\n`;
  }
  return unknownCommand(
    "",
    word,
    commands.map(({ name }) => name),
  );
}
