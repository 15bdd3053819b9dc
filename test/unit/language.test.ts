// Words to avoid (test/support/words-to-avoid.ts), counted in messages, comments and pages. `language-allowed.json` has how many
// each folder may still have. The numbers only go down: to zero in messages and pages; comments may keep one in 1,000 lines.
//   NEARMISS_WRITE_WORDS=1 npx vitest run test/unit/language.test.ts     lowers the table to what is found, and raises nothing
//   NEARMISS_SHOW_WORDS=cli npx vitest run test/unit/language.test.ts    lists what is found in a folder
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { pageText, proseOf } from "../support/prose.ts";
import { type Found, findWords, type Kind } from "../support/words-to-avoid.ts";

const root = resolve(import.meta.dirname, "../..");
const tableFile = join(root, "test/unit/language-allowed.json");

/** `vitest.config.ts` is the one source outside of them. */
const folders = [
  "bin",
  "cli",
  "common",
  "controller",
  "dashboard",
  "node-agent",
  "schema",
  "scripts",
  "test",
  "testkit",
];

/** `.` is the root: README.md and its like. */
const pageFolders = [".", "docs", "docs/adr"];

/** These name the words to avoid, have the wording of released agents, or repeat the titles of pages that are counted. */
const exempt = [
  "test/support/words-to-avoid.ts",
  "test/unit/language.test.ts",
  "controller/agents/earlier-phrases.ts",
  "docs/adr/README.md",
];

type Counts = Readonly<Record<string, number>>;
type Table = Readonly<Record<Kind, Counts>>;
interface Place extends Found {
  readonly at: string;
}

function sourcesIn(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:tsx?|cjs)$/.test(name))
    .map((name) => join(folder, name))
    .filter((file) => !exempt.includes(file))
    .sort();
}

function pagesIn(folder: string): string[] {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith(".md"));
  return names.map((name) => join(folder, name)).filter((file) => !exempt.includes(file));
}

const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
const proseIn = new Map(
  folders.map((folder) => [folder, sourcesIn(folder).map((file) => [file, proseOf(file, textOf(file))] as const)]),
);

function placesInSources(kind: "messages" | "comments", folder: string): Place[] {
  return (proseIn.get(folder) ?? []).flatMap(([file, prose]) =>
    prose[kind].flatMap(({ line, text }) =>
      findWords(kind, text).map((found) => ({ ...found, at: `${file}:${line}` })),
    ),
  );
}

function commentLinesIn(folder: string): number {
  return (proseIn.get(folder) ?? []).reduce((sum, [, { commentLines }]) => sum + commentLines, 0);
}

function placesInPages(folder: string): Place[] {
  return pagesIn(folder).flatMap((file) =>
    findWords("pages", pageText(textOf(file))).map((found) => ({ ...found, at: file })),
  );
}

function inEach(names: readonly string[], find: (name: string) => readonly Place[]) {
  return Object.fromEntries(names.map((name) => [name, find(name)]));
}

const found: Readonly<Record<Kind, Readonly<Record<string, readonly Place[]>>>> = {
  messages: inEach(folders, (folder) => placesInSources("messages", folder)),
  comments: inEach(folders, (folder) => placesInSources("comments", folder)),
  pages: inEach(pageFolders, placesInPages),
};

/** The table with the present counts, where they are lower. */
function lowered(table: Table): Table {
  const lower = (kind: Kind): Counts =>
    Object.fromEntries(
      Object.entries(found[kind]).map(([name, places]) => [name, Math.min(places.length, table[kind][name] ?? 0)]),
    );
  return { messages: lower("messages"), comments: lower("comments"), pages: lower("pages") };
}

if (process.env.NEARMISS_WRITE_WORDS === "1") {
  writeFileSync(tableFile, `${JSON.stringify(lowered(JSON.parse(readFileSync(tableFile, "utf8"))), null, 2)}\n`);
}
const allowed = JSON.parse(readFileSync(tableFile, "utf8")) as Table;

const shown = process.env.NEARMISS_SHOW_WORDS;
if (shown !== undefined) {
  for (const [kind, places] of Object.entries(found)) {
    for (const { at, name, excerpt, instead } of places[shown] ?? []) {
      process.stdout.write(`${kind} ${at}: "${name}" in "${excerpt}" (${instead})\n`);
    }
  }
}

describe.each(Object.keys(found) as Kind[])("words to avoid in %s", (kind) => {
  test.each(Object.keys(found[kind]))("%s: no more than in the table, and the table is up to date", (name) => {
    const places = found[kind][name] ?? [];
    const inTable = allowed[kind][name] ?? 0;
    const most = Math.max(inTable, kind === "comments" ? Math.floor(commentLinesIn(name) / 1_000) : 0);
    const list = places.map(({ at, name: word, excerpt, instead }) => `${at}: "${word}" in "${excerpt}": ${instead}`);
    expect(
      places.length,
      `${kind} of ${name}: ${places.length} words to avoid, allowed are ${most}. Use other words:\n${list.join("\n")}`,
    ).toBeLessThanOrEqual(most);
    expect(
      inTable,
      `${kind} of ${name} are better than the table. Lower it: NEARMISS_WRITE_WORDS=1 npx vitest run test/unit/language.test.ts`,
    ).toBeLessThanOrEqual(places.length);
  });

  test("the table has no folder that is not counted", () => {
    expect(Object.keys(allowed[kind]).filter((name) => !(name in found[kind]))).toEqual([]);
  });
});

describe("what counts", () => {
  test("comments are found anywhere, and sentences over several lines are one", () => {
    const prose = proseOf(
      "x.ts",
      [
        "const url = 'http://nobody/'; // about nobody",
        "// a bounded batch, by",
        "// and by",
        "/**",
        " * What it comes",
        " * to.",
        " */",
        "const pattern = /[/*] somebody/;",
        `const text = \`// not a comment \${url /* whoever */}\`;`,
      ].join("\n"),
    );
    const words = prose.comments.flatMap(({ line, text }) =>
      findWords("comments", text).map(({ name }) => [line, name]),
    );
    expect(words).toEqual([
      [1, "by and by"],
      [1, "nobody"],
      [4, "come to"],
      [9, "whoever"],
    ]);
    expect(prose.commentLines).toBe(6);
  });

  test("messages are literals of several words, also in templates and JSX; keys and names are not", () => {
    const prose = proseOf(
      "x.tsx",
      [
        "import held from 'held';",
        "const key = { kind: 'held', mended: true };",
        "throw new Error('it is ' + 'mended now');",
        `const text = \`\${count} matters, \${\`told by \${name}\`}\`;`,
        "const page = <p title='nobody here'>Mended {count} matters</p>;",
      ].join("\n"),
    );
    const words = prose.messages.flatMap(({ line, text }) =>
      findWords("messages", text).map(({ name }) => [line, name]),
    );
    expect(words).toEqual([
      [3, "mend"],
      [4, "matter"],
      [4, "told"],
      [5, "nobody"],
      [5, "mend"],
      [5, "matter"],
    ]);
  });

  test("glossary terms stay in comments, and verbs stay everywhere", () => {
    expect(findWords("comments", "answers that are held; what the agent was told")).toEqual([]);
    expect(findWords("messages", "the order matters, no matter when; recommended, amended")).toEqual([]);
  });

  test("pages count without their code and the targets of links", () => {
    const page = ["[Whoever](told.md)", "```console tested", "$ nobody", "```", "runs `somebody` here, meanwhile"].join(
      "\n",
    );
    expect(findWords("pages", pageText(page)).map(({ name }) => name)).toEqual(["whoever", "meanwhile"]);
  });

  test("every folder with sources is counted", () => {
    const passedOver = ["node_modules", "dist", "coverage", "screenshots"];
    const present = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !passedOver.includes(entry.name))
      .map(({ name }) => name);
    expect(present.filter((name) => sourcesIn(name).length > 0 && !folders.includes(name))).toEqual([]);
  });
});
