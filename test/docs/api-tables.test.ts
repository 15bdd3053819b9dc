// docs/api.md against the code: every path, parameter, header, problem type and limit is there, and nothing else.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { limits, problemTypes } from "../../schema/plain/index.ts";
import { call, startController } from "../integration/harness.ts";
import type { ApiDocument } from "../support/request-arbitrary.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/api.md"), "utf8");

/** The first two cells of each row of the table under a heading, without backticks. */
function rowsUnder(heading: string): [string, string][] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [text = ""] = section.split("\n## ");
  const rows = text.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
  return rows.slice(1).map((row) => {
    const [, first = "", second = ""] = row.split(" | ").flatMap((cell, i) => (i === 0 ? ["", cell.slice(2)] : [cell]));
    return [first.replaceAll("`", "").trim(), second.replaceAll("`", "").trim()];
  });
}

test("lists every path with its methods, and each parameter and header with its description", async () => {
  const document: ApiDocument = await call(await startController(), 200, "GET", "/openapi.json");
  const real = Object.entries(document.paths).map(([path, methods]) => [
    path,
    Object.keys(methods)
      .map((each) => each.toUpperCase())
      .sort()
      .join(", "),
  ]);
  const shown = rowsUnder("Paths").map(([path, methods]) => [path, methods.split(", ").sort().join(", ")]);
  expect(shown.sort()).toEqual(real.sort());
  const parameters = Object.values(document.paths)
    .flatMap((methods) => Object.values(methods))
    .flatMap(({ parameters = [] }) => parameters)
    .filter((parameter) => parameter.in !== "path");
  const names = new Set(parameters.map(({ name }) => name.toLowerCase()));
  const words = page.toLowerCase();
  expect([...names].filter((name) => !words.includes(`\`${name}`) && !words.includes(`\`?${name}`))).toEqual([]);
});

test("lists every problem type with its status", () => {
  const real = Object.entries(problemTypes).map(([type, { status }]) => [type, String(status)]);
  expect(rowsUnder("Errors").sort()).toEqual(real.sort());
});

test("lists every limit", () => {
  const real = Object.values(limits).map((limit) => limit.toLocaleString("en"));
  expect(
    rowsUnder("Limits")
      .map(([, value]) => value.replace(/ .*$/, ""))
      .sort(),
  ).toEqual(real.sort());
});
