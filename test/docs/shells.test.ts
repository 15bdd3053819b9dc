// docs/cli.md: completion as its page installs it, in the shells themselves.
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { binary, operatedForFile } from "../support/binary.ts";
import { blockOf } from "./blocks.ts";

const operated = operatedForFile(async (controller) => {
  await controller.ok("host", "create", "alpha", "--vtep", "192.0.2.1");
  for (const name of ["web-1", "web-2", "db-1"]) await controller.ok("vm", "create", name, "--host", "alpha");
  mkdirSync(join(controller.directory, "bin"));
  symlinkSync(binary, join(controller.directory, "bin", "nearmiss"));
});

const lines = blockOf("docs/cli.md", "nearmiss completion bash").trim().split("\n");
const installing = (shell: string): string => lines.find((line) => line.includes(`completion ${shell} `)) ?? "";

function run(shell: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): string {
  const { directory, env } = operated();
  const { status, stdout, stderr } = spawnSync(shell, args, {
    cwd: directory,
    env: { ...env, ...more, PATH: `${join(directory, "bin")}:${process.env.PATH}`, TERM: "dumb" },
    encoding: "utf8",
    timeout: 60_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** In CI a missing shell is a failure, not a skip. */
const isSkipped = (shell: string): boolean =>
  spawnSync(shell, ["--version"]).error !== undefined && process.env.CI !== "true";

const cases: [string, string[]][] = [
  ["nearmiss vm get web", ["web-1", "web-2"]],
  ["nearmiss vm list --output j", ["json"]],
  ["nearmiss vm create x --host al", ["alpha"]],
];

describe.skipIf(isSkipped("bash"))("bash", () => {
  test.each(cases)("offers for `%s`", (line, expected) => {
    // What bash-completion does with a file of this directory.
    const install = installing("bash").replace("/etc/bash_completion.d/nearmiss", "bash-completion");
    const script = `${install}
      source bash-completion
      COMP_LINE=$1 COMP_POINT=\${#1}
      $(complete -p nearmiss | sed 's/.*-F \\([^ ]*\\).*/\\1/')
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(words(run("bash", ["--norc", "-c", script, "bash", line]))).toEqual(expected);
  });
});

describe.skipIf(isSkipped("fish"))("fish", () => {
  test.each(cases)("offers for `%s`", (line, expected) => {
    const script = `mkdir -p ~/.config/fish/completions; ${installing("fish")}; complete -C "${line}"`;
    expect(words(run("fish", ["--private", "-c", script]))).toEqual(expected);
  });
});

describe.skipIf(isSkipped("zsh"))("zsh", () => {
  test.each(cases)("completes `%s`", (line, expected) => {
    // Completion needs a terminal: zsh in one of zsh's own, with the page's file in the first directory of `fpath`. What is shown
    // ends with the last of several offers in zsh's order, or with the only one and a space.
    const every = (words: string[]) => words.map((word) => `*${word}`).join("");
    const shown = expected.length > 1 ? `(${every(expected)}|${every(expected.toReversed())})` : `*${expected[0]} `;
    const script = `
      zmodload zsh/zpty
      mkdir -p functions
      zpty shell "PS1='READY>' zsh -f -i"
      zpty -w shell 'fpath=($PWD/functions $fpath); setopt nobeep; eval $INSTALL; autoload -Uz compinit; compinit -u -D; echo load"ed"'
      zpty -r shell part '*loaded*READY>'
      zpty -w -n shell "$LINE"$'\\t\\t'
      zpty -r shell part "$SHOWN" && print shown
      zpty -d shell`;
    const env = { INSTALL: installing("zsh"), LINE: line, SHOWN: shown };
    expect(run("zsh", ["-f", "-c", script], env)).toBe("shown\n");
  });
});

/** Without what a shell says of each. */
function words(output: string): string[] {
  return output.split("\n").flatMap((line) => line.split("\t")[0]?.trim() || []);
}
