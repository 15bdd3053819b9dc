// docs/adr/README.md lists every decision with its title and status, and decisions have the form that it is made from.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const { readDecisions, indexOf } = createRequire(import.meta.url)(join(root, "scripts/adr-index.cjs")) as {
  readDecisions(directory: string): { number: string; status: string }[];
  indexOf(decisions: readonly { number: string; status: string }[]): string;
};

test("the index of decisions matches the files: `node scripts/adr-index.cjs` writes it", () => {
  const directory = join(root, "docs/adr");
  expect(readFileSync(join(directory, "README.md"), "utf8")).toBe(indexOf(readDecisions(directory)));
});

function indexOfFiles(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-adr-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    return indexOf(readDecisions(directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("a status is read from its line, and is accepted if there is none", () => {
  const index = indexOfFiles({
    "0001-a.md": "# 0001: A\n\nStatus: superseded by [0002](0002-b.md) for IPv6.\n",
    "0002-b.md": "# 0002: B\n\nText.\n",
    "README.md": "not a decision",
  });
  expect(index).toContain("| [0001](0001-a.md) | A | superseded by [0002](0002-b.md) for IPv6 |");
  expect(index).toContain("| [0002](0002-b.md) | B | accepted |");
});

test.each<[string, Record<string, string>]>([
  ["does not begin with", { "0001-a.md": "# A\n" }],
  ["has number 0002 in its title", { "0001-a.md": "# 0002: A\n" }],
  ["is the number of two decisions", { "0001-a.md": "# 0001: A\n", "0001-b.md": "# 0001: B\n" }],
  ["which is not there", { "0001-a.md": "# 0001: A\n\nStatus: superseded by [0002](0002-b.md).\n" }],
  ['has the status "done"', { "0001-a.md": "# 0001: A\n\nStatus: done.\n" }],
])("a decision in another format is refused: %s", (fault, files) => {
  expect(() => indexOfFiles(files)).toThrow(fault);
});
