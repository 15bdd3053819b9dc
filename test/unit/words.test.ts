// Words of the command line: other words for commands, and what is said of those that are none.
import { describe, expect, test } from "vitest";
import { commands } from "../../bin/commands.ts";
import { rootHelp } from "../../bin/help.ts";
import { programOf } from "../../bin/run.ts";
import { canonicalWords, unknownCommand, unknownOption } from "../../cli/words.ts";

const vm = ["list", "get", "create", "update", "move", "prepare", "commit", "abort", "delete"];
const top = commands.map(({ name }) => name);

describe("other words", () => {
  test.each([
    ["vms", "vm list"],
    ["hosts -o json", "host list -o json"],
    ["networks --help", "network --help"],
    ["vms get web-1", "vm get web-1"],
    ["help vm create", "vm create --help"],
    ["help vms", "vm --help"],
    ["help", "help"],
    ["vm help get", "vm help get"],
  ])("%s stands for %s", (typed, known) => {
    expect(canonicalWords(typed.split(" ")).join(" ")).toBe(known);
  });

  test("each is in the help of its command, and no command has a word twice", async () => {
    const program = await programOf(commands);
    for (const group of [program, ...program.commands]) {
      const words = group.commands.flatMap((command) => [command.name(), ...command.aliases()]);
      expect(new Set(words).size).toBe(words.length);
    }
    const get = program.commands
      .find((command) => command.name() === "vm")
      ?.commands.find((command) => command.name() === "get");
    expect(get?.aliases()).toEqual(["show", "describe"]);
    // `host add` is a command of its own.
    const host = program.commands.find((command) => command.name() === "host");
    expect(host?.commands.find((command) => command.name() === "create")?.aliases()).toEqual(["register"]);
    expect(host?.commands.find((command) => command.name() === "evacuate")?.aliases()).toEqual(["drain"]);
  });
});

describe("an unknown command", () => {
  test("is not answered with one that changes something, however near it is", () => {
    for (const word of ["remov", "mvoe", "moev", "delte", "commti", "abrot", "updat", "creat", "prepar"]) {
      expect(unknownCommand("vm", word, vm)).not.toContain("Did you mean");
      expect(unknownCommand("vm", word, vm)).toContain(`has no command "${word}"\nCommands: list, get,`);
    }
    for (const word of ["aply", "improt", "restor", "bakcup", "contrller"]) {
      expect(unknownCommand("", word, top)).not.toContain("Did you mean");
    }
  });

  test("is answered with a near one that only reads", () => {
    expect(unknownCommand("vm", "lsit", vm)).toContain("Did you mean `nearmiss vm list`?");
    expect(unknownCommand("", "vmm", top)).toContain("Did you mean `nearmiss vm`?");
    expect(unknownCommand("", "event", top)).toContain("Did you mean `nearmiss events`?");
    expect(unknownCommand("", "frobnicate", top)).not.toContain("Did you mean");
  });

  test("that other programs have is answered with what does the same here", () => {
    expect(unknownCommand("", "get", top)).toContain("The kind comes first");
    expect(unknownCommand("", "login", top)).toContain("There is no session");
    expect(unknownCommand("vm", "migrate", vm)).toContain("`nearmiss vm prepare --help`");
    expect(unknownCommand("", "conditions", top)).toContain("`nearmiss vm list --problems`");
    expect(unknownCommand("host", "enroll", ["list", "add"])).toContain("`nearmiss host add --help`");
    expect(unknownCommand("vm", "web-1", vm)).toContain("A name follows the verb: `nearmiss vm get web-1`.");
    expect(unknownCommand("", "web-1", top)).not.toContain("A name");
    expect(unknownCommand("", "constructor", top)).toContain('has no command "constructor"\nCommands:');
  });
});

test("an unknown option is not answered with one that forces or skips a question", () => {
  const flags = ["--force", "--prune", "--yes", "--host", "--help"];
  for (const flag of ["--forc", "--prun", "--yess"]) expect(unknownOption(flag, flags)).not.toContain("Did you mean");
  expect(unknownOption("--hots", flags)).toBe("error: unknown option --hots. Did you mean --host?");
  expect(unknownOption("--away", ["--disconnected"])).toBe(
    "error: unknown option --away. Did you mean --disconnected?",
  );
  const listing = ["--output", "--label", "--watch", "--problems", "--controller"];
  expect(unknownOption("--format", listing)).toBe("error: unknown option --format. Did you mean --output json?");
  expect(unknownOption("--conditions", listing)).toContain("Did you mean --problems?");
  expect(unknownOption("--server", listing)).toContain("Did you mean --controller?");
  expect(unknownOption("--format", flags)).toBe("error: unknown option --format");
  expect(unknownOption("--away", flags)).toBe("error: unknown option --away");
});

describe("the help of all commands", () => {
  test("says of each what the command itself says", async () => {
    for (const { name, summary, load } of commands) {
      const program = await programOf([{ name, summary, load }]);
      const added = program.commands.find((command) => command.name() === name);
      expect(added?.summary()).toBe(summary);
    }
  });

  test.each([60, 80, 200])("is no wider than %i columns", (columns) => {
    const lines = rootHelp(columns).split("\n");
    // The two sentences about help stay whole.
    const free = lines.filter((line) => !line.includes("`nearmiss") && !line.startsWith("The control plane"));
    expect(Math.max(...free.map((line) => line.length))).toBeLessThanOrEqual(columns);
    for (const name of top) expect(lines.some((line) => line.startsWith(`  ${name} `))).toBe(true);
  });
});
