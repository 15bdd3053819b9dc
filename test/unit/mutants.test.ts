// What `npm run mutants` makes of Stryker's results.
import { describe, expect, test } from "vitest";
import { type Mutant, nameOf } from "../../testkit/mutants/mutant.ts";
import { parts, sourcesOf, testsOf } from "../../testkit/mutants/parts.ts";
import { samplePieces } from "../../testkit/mutants/sample.ts";
import { judge, withSurvivors } from "../../testkit/mutants/verdict.ts";

describe("the name of a mutant", () => {
  const source = ["const a = 1;", "  if (a < 2) {", "    stop();", "  }", ""].join("\n");
  const change = (start: [number, number], end: [number, number], replacement: string) => {
    const [[startLine, startColumn], [endLine, endColumn]] = [start, end];
    const location = { start: { line: startLine, column: startColumn }, end: { line: endLine, column: endColumn } };
    return nameOf({ file: "a.ts", location, replacement }, source);
  };

  test("has the line and its change, not the line's number", () => {
    expect(change([2, 7], [2, 12], "a <= 2")).toBe("a.ts | if (a < 2) { | a < 2 → a <= 2");
  });

  test("has a change of several lines as one", () => {
    expect(change([2, 14], [4, 4], "{}")).toBe("a.ts | if (a < 2) { | { stop(); } → {}");
  });

  test("is cut where it is long", () => {
    expect(
      nameOf(
        {
          ...{ location: { start: { line: 1, column: 1 }, end: { line: 1, column: 101 } } },
          file: "a.ts",
          replacement: "",
        },
        "x".repeat(100),
      ),
    ).toBe(`a.ts | ${"x".repeat(80)}… | ${"x".repeat(80)}… → `);
  });
});

describe("a verdict", () => {
  const mutants = (killed: number, ...survivors: string[]): Mutant[] => [
    ...Array.from({ length: killed }, (_, i) => ({
      file: "a.ts",
      line: i,
      name: `a.ts | ${i} | < → <=`,
      killed: true,
    })),
    ...survivors.map((name) => ({ file: "a.ts", line: 1, name, killed: false })),
  ];
  const listed = [{ reason: "the same", mutants: ["a.ts | x | y", "b.ts | x | y"] }];
  const result = (killed: number, ...survivors: string[]) => ({ part: "a", mutants: mutants(killed, ...survivors) });

  test("passes where each survivor is listed with a reason, and enough are killed", () => {
    expect(judge(result(17, "a.ts | x | y"), listed, true)).toEqual({
      part: "a",
      mutants: 18,
      killed: 17,
      unlisted: [],
      outdated: [],
      passed: true,
    });
  });

  test.each([true, false])("fails for a survivor that is not listed, or without a reason: whole part %s", (isWhole) => {
    expect(judge(result(99, "a.ts | x | y"), [], isWhole)).toMatchObject({
      unlisted: [{ name: "a.ts | x | y" }],
      passed: false,
    });
    expect(judge(result(99, "a.ts | x | y"), [{ reason: "", mutants: ["a.ts | x | y"] }], isWhole).passed).toBe(false);
  });

  test("fails where fewer than 85 % of a whole part are killed, however good the reasons are", () => {
    const survivors = ["a.ts | 1 | y", "a.ts | 2 | y", "a.ts | 3 | y"];
    const reasons = [{ reason: "the same", mutants: survivors }];
    expect(judge(result(17, ...survivors), reasons, true).passed).toBe(true);
    expect(judge(result(16, ...survivors), reasons, true).passed).toBe(false);
    expect(judge(result(16, ...survivors), reasons, false).passed).toBe(true);
  });

  test("fails for a listed mutant of the whole part that did not survive: the list has no more than it needs", () => {
    expect(judge(result(18), listed, true)).toMatchObject({ outdated: ["a.ts | x | y"], passed: false });
    expect(judge(result(18), listed, false)).toMatchObject({ outdated: [], passed: true });
  });
});

describe("the list of survivors, written anew", () => {
  const listed = [
    { reason: "the same", mutants: ["a.ts | 1 | y", "a.ts | 2 | y"] },
    { reason: "gone", mutants: ["a.ts | 3 | y"] },
    { reason: "elsewhere", mutants: ["b.ts | 1 | y"] },
  ];
  const survivor = (name: string) => ({ file: "a.ts", line: 1, name, killed: false });

  test("keeps reasons of what still survives and of other parts, and has new ones without", () => {
    const mutants = [survivor("a.ts | 1 | y"), survivor("a.ts | 4 | y")];
    expect(withSurvivors(listed, [{ part: "a", mutants }])).toEqual([
      { reason: "the same", mutants: ["a.ts | 1 | y"] },
      { reason: "elsewhere", mutants: ["b.ts | 1 | y"] },
      { reason: "", mutants: ["a.ts | 4 | y"] },
    ]);
  });

  test("has nothing without a reason where all have one", () => {
    const mutants = [survivor("a.ts | 1 | y"), survivor("a.ts | 2 | y"), survivor("a.ts | 3 | y")];
    expect(withSurvivors(listed, [{ part: "a", mutants }])).toEqual(listed);
  });
});

describe("a sample", () => {
  const lines = (count: number) => "\n".repeat(count - 1);
  const sources = [
    { file: "a.ts", text: lines(4_000) },
    { file: "b.ts", text: lines(4_400) },
  ];

  test("is some pieces of the sources, the same for the same seed", () => {
    const pieces = samplePieces(sources, "one");
    expect(pieces).toHaveLength(4);
    expect(samplePieces(sources, "one")).toEqual(pieces);
    expect(samplePieces(sources, "two")).not.toEqual(pieces);
    for (const piece of pieces) expect(piece).toMatch(/^[ab]\.ts:\d+-\d+$/);
  });

  test("of a file that is as it was stays nearly the same where another changes", () => {
    const file = (name: string, text: string) => ({ file: name, text: text + lines(10_000) });
    const ofB = (pieces: string[]) => pieces.filter((piece) => piece.startsWith("b.ts"));
    const before = ofB(samplePieces([file("a.ts", ""), file("b.ts", "")], ""));
    const after = ofB(samplePieces([file("a.ts", "changed"), file("b.ts", "")], ""));
    const all = new Set([...before, ...after]).size;
    expect(Math.min(before.length, after.length)).toBe(before.length + after.length - all);
    expect(samplePieces([file("b.ts", "changed")], "")).not.toEqual(samplePieces([file("b.ts", "")], ""));
  });

  test("has one piece at least, within its file", () => {
    expect(samplePieces([{ file: "a.ts", text: "a\nb" }], "one")).toEqual([expect.stringMatching(/^a\.ts:[12]-2$/)]);
  });

  test("reaches every line of a part in time", () => {
    const [part] = parts;
    if (!part) throw new Error("no parts");
    const files = sourcesOf(part).map(({ file }) => file);
    const reached = new Set(
      Array.from({ length: 500 }, (_, i) => samplePieces(sourcesOf(part), String(i)))
        .flat()
        .map((piece) => piece.split(":")[0]),
    );
    expect([...reached].sort()).toEqual(files);
  });
});

describe("the tests of a part", () => {
  test("are the unit and property tests that import from it", () => {
    const tests = testsOf({ path: "node-agent/misses" });
    expect(tests).toContain("test/unit/resolver.test.ts");
    expect(tests).toContain("test/property/bounded-memory.test.ts");
    expect(tests).not.toContain("test/unit/mutants.test.ts");
  });

  test("are there for each part", () => {
    for (const part of parts) expect(testsOf(part), part.name).not.toEqual([]);
  });
});
