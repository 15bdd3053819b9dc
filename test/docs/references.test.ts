// What pages point at is there: relative links everywhere, and the files that pages on the present code name.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const pagesIn = (directory: string): string[] =>
  readdirSync(join(root, directory)).flatMap((name) => (name.endsWith(".md") ? [join(directory, name)] : []));
/** Decisions tell of their day: a file may have gone since. */
const decisions = pagesIn("docs/adr");
const pages = [...pagesIn("."), ...pagesIn("docs")];

const passedOver = ["node_modules", "dist", ".git"];
const sources = readdirSync(root, { withFileTypes: true })
  .filter(({ name }) => !passedOver.includes(name))
  .flatMap((entry) => {
    const { name } = entry;
    if (!entry.isDirectory()) return [`/${name}`];
    return readdirSync(join(root, name), { recursive: true }).map((path) => `/${name}/${path}`);
  });

test.each([...pages, ...decisions])("%s links to what is there", (page) => {
  const links = [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(
    ([, link = ""]) => link,
  );
  const relative = links.filter((link) => !/^[a-z]+:/.test(link));
  expect(relative.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

test.each(pages)("%s names files that there are", (page) => {
  const text = readFileSync(join(root, page), "utf8");
  const named = [...text.matchAll(/`([\w./-]+\.(?:tsx?|cjs))`/g)].map(([, file = ""]) => file);
  expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual([]);
});
