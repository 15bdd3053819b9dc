// No command stands on a page without a test that runs it, or a reason beside it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Block, blocksOf, otherBlocks, pagesOfMachines, pagesOfOneShell } from "./blocks.ts";

const root = join(import.meta.dirname, "../..");
const read = (page: string): string => readFileSync(join(root, page), "utf8");
/** A changelog and decisions are of their time. */
const pages = [
  ...["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"],
  ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];

/** Nothing of these is typed, or read by a program: answers, logs and drawings. */
const outputs = /^(?:json|text|mermaid)$/;
const tested = /^(?:console|sh) tested(?: on (\w+))?(?: soon)?$/;
const programs =
  /^(?:[$#] )?(?:sudo |export )?(?:nearmiss|npm|npx|curl|ip|bridge|nft|tc|systemctl|sysctl|iptables|virsh|bash|sh)\b(?! +\|)/;

function isListed(page: string, { text }: Block): boolean {
  return Object.keys(otherBlocks[page] ?? {}).some((start) => text.startsWith(start));
}

function isRun(page: string, block: Block): boolean {
  const [all, machine] = tested.exec(block.kind) ?? [];
  if (all === undefined) return false;
  return machine === undefined ? pagesOfOneShell.includes(basename(page)) : pagesOfMachines.includes(page);
}

describe.each(pages)("on %s", (page) => {
  const blocks = blocksOf(read(page));

  test("each block of commands is run by a test, or is listed with the one that reads it", () => {
    const left = blocks.filter((block) => !outputs.test(block.kind) && !isRun(page, block) && !isListed(page, block));
    expect(left.map(({ kind, line, text }) => ({ line, kind, text: text.split("\n")[0] }))).toEqual([]);
  });

  test("what is listed is there, is not run otherwise, and its test reads this page", () => {
    for (const [start, otherwise] of Object.entries(otherBlocks[page] ?? {})) {
      const found = blocks.filter(({ text }) => text.startsWith(start));
      expect(found.length, start).toBeGreaterThan(0);
      expect(
        found.filter((block) => isRun(page, block) || outputs.test(block.kind)),
        start,
      ).toEqual([]);
      if (!("by" in otherwise)) continue;
      expect(existsSync(join(root, otherwise.by)), otherwise.by).toBe(true);
      expect(read(otherwise.by), `${otherwise.by} reads ${page}`).toContain(page);
    }
  });

  test("no block of output, and no indented text, has a command", () => {
    const inOutput = blocks
      .filter(({ kind }) => kind === "text")
      .flatMap(({ text }) => text.split("\n").filter((line) => /^ *[$#] \S/.test(line) && programs.test(line.trim())));
    const withoutBlocks = read(page).replace(/^ *```[\s\S]*?^ *```$/gm, "");
    const indented = withoutBlocks.split("\n").filter((line) => /^ {4,}\S/.test(line) && programs.test(line.trim()));
    expect([...inOutput, ...indented]).toEqual([]);
  });
});

test("every page with blocks for a test is listed for it, and none in vain", () => {
  const withBlocks = (pattern: RegExp) =>
    pages.filter((page) => blocksOf(read(page)).some(({ kind }) => pattern.test(kind)));
  expect(withBlocks(/ tested(?: soon)?$/)).toEqual(pagesOfOneShell.map((name) => `docs/${name}`).sort());
  expect(withBlocks(/ tested on /).sort()).toEqual([...pagesOfMachines].sort());
});
