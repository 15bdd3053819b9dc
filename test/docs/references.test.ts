// Targets of the pages' references exist: relative links and their anchors everywhere, and files that pages on the present code name.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const pagesIn = (directory: string): string[] =>
  readdirSync(join(root, directory)).flatMap((name) => (name.endsWith(".md") ? [join(directory, name)] : []));
/** Decisions describe the code of their time: a file may have been removed since. */
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

test.each([...pages, ...decisions])("%s links to pages that exist", (page) => {
  const links = [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(
    ([, link = ""]) => link,
  );
  const relative = links.filter((link) => !/^[a-z]+:/.test(link));
  expect(relative.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

/** Of a page's headings, as GitHub makes them; the second of two equal ones ends in -1. */
function anchorsOf(page: string): Set<string> {
  const text = readFileSync(page, "utf8").replace(/^(`{3,}).*?^\1$/gms, "");
  const anchors = new Set<string>([...text.matchAll(/ (?:id|name)="([^"]+)"/g)].map(([, id = ""]) => id));
  const seen = new Map<string, number>();
  for (const [, heading = ""] of text.matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

test.each([...pages, ...decisions])("%s links to headings that exist", (page) => {
  const links = [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#\s]*\.md|)#([^)\s]+)\)/g)];
  const broken = links.filter(([, file = "", anchor = ""]) => {
    if (/^[a-z]+:/.test(file)) return false;
    const target = file === "" ? join(root, page) : join(root, dirname(page), file);
    return !existsSync(target) || !anchorsOf(target).has(anchor);
  });
  expect(broken.map(([link]) => link)).toEqual([]);
});

test.each(pages)("%s names files that exist", (page) => {
  const text = readFileSync(join(root, page), "utf8");
  const named = [...text.matchAll(/`([\w./-]+\.(?:tsx?|cjs))`/g)].map(([, file = ""]) => file);
  expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual([]);
});
