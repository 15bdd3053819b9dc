// The README's table of programs is the list that set-up reads. `NEARMISS_WRITE_DOCS=1` writes it.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const { renderTable } = createRequire(import.meta.url)(join(root, "scripts", "programs.cjs")) as {
  renderTable(): string;
};

test("the README lists every program with its packages", () => {
  const file = join(root, "README.md");
  const text = readFileSync(file, "utf8");
  const marked = /(<!-- programs -->\n)[\s\S]*?(\n<!-- \/programs -->)/;
  const wanted = text.replace(marked, (_all, begin, end) => `${begin}${renderTable()}${end}`);
  expect(text).toMatch(marked);
  if (process.env.NEARMISS_WRITE_DOCS) writeFileSync(file, wanted);
  else expect(text).toBe(wanted);
});
