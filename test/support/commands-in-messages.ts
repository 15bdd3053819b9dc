// The commands that messages of the programs tell people to run, by a parser of the sources.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseSync } from "vite";

const root = resolve(import.meta.dirname, "../..");

export interface PrintedCommand {
  /** With `…` for values that the program puts in. */
  readonly command: string;
  readonly file: string;
}

/** As much of an ESTree node as the walk needs. */
interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const program =
  "(?:ip6?tables|arptables|sysctl|nft|modprobe|chmod|chown|rm|mv|cp|systemctl|kill|ping|ss|nsenter|lsns|tc|ethtool|conntrack|ebtables|journalctl|git|curl|openssl|ulimit|npm|nearmiss|ip|bridge|ls)";
/** A verb behind `ip`, `nearmiss` and the like: prose about an "ip" has none. */
const verbs: Readonly<Record<string, RegExp>> = {
  ip: /^(?:-\S+ )*(?:link|address|addr|neigh|route|netns|monitor) [a-z]/,
  bridge: /^(?:-\S+ )*(?:fdb|link|vlan) [a-z]/,
  nearmiss: /^(?:[a-z]|…)/,
  ping: /^-/,
  kill: /^-/,
  ls: /^-/,
  rm: /^(?:-r|…|\/)/,
  mv: /^[-…/]/,
  cp: /^[-…/]/,
  ss: /^-/,
  npm: /^(?:run|ci|install)/,
  curl: /^[-h…]/,
  tc: /^(?:-\S+ )*(?:filter|qdisc|class|chain|action) [a-z]/,
  ethtool: /^-/,
  conntrack: /^-/,
  ebtables: /^-/,
  git: /^(?:rebase|push|tag|reset|checkout|clean|restore|stash) /,
};
const notCommands =
  /^(?:is|has|does|uses|was|needs|gives|agent’s|controller’s|cannot|runs|knows|took|and|or|on|restores|backs|with|by|for|in|as|to|that|records)\b/;

/** Where a command ends: a closing bracket or quote, or the words of the sentence around it. */
const end =
  /[`)"\n]|; (?!ip )|, |\. |\.$|: | (?:where|shows|deletes|then|removes|allows|names|gets|in a|runs|and|answers|event stream|as|can|on this)(?![\w-])|$/;

/** Patterns and values of sentences, and what the program puts in, are `…` alike. */
const value = /\{\w+(?::\w+)?\}|\$\d|\(\?:.*?\)\)\??|(?:\[[^\]]*\]|\\d)(?:\{\d+,\d+\})/g;

export function commandsIn(text: string): string[] {
  const found: string[] = [];
  let endOfLast = 0;
  for (const match of text.matchAll(new RegExp(`(?<![\\w./-])(?:${program} |(?:…|\\{\\w+\\}) (?=-[IAD] ))`, "g"))) {
    if (match.index < endOfLast) continue;
    const rest = text.slice(match.index);
    const name = match[0].trim();
    const behind = rest.slice(match[0].length);
    const verb = verbs[name];
    if (verb && !verb.test(behind)) continue;
    if (notCommands.test(behind)) continue;
    const command = rest
      .slice(0, rest.search(end))
      .replaceAll(value, "…")
      .trim()
      .replace(/…up$|\(\?:master …$/, "…");
    if (command === name) continue;
    found.push(command);
    endOfLast = match.index + rest.search(end);
  }
  return found;
}

/** Of all sources below these folders. */
export function printedCommands(folders: readonly string[]): PrintedCommand[] {
  return folders.flatMap(sources).flatMap((file) => {
    const { program: tree, errors } = parseSync(file, readFileSync(join(root, file), "utf8"));
    if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
    return textsIn(tree as unknown as Node)
      .flatMap(commandsIn)
      .map((command) => ({ command, file }));
  });
}

/** The commands of a page: lines of its blocks without their output, and inline code. */
export function pageCommands(markdown: string): string[] {
  let block: string | undefined;
  return markdown.split("\n").flatMap((line) => {
    const [, kind] = /^ *```(.*)$/.exec(line) ?? [];
    if (kind !== undefined) {
      block = block === undefined ? kind : undefined;
      return [];
    }
    if (block === undefined) return [...line.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
    if (block.startsWith("sh")) return [line.trim()];
    return block.startsWith("console") && /^ *[$#] /.test(line) ? [line.trim().slice(2)] : [];
  });
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(?:tsx?|cjs)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** Texts of literals, templates, JSX and their concatenations, each once. */
function textsIn(tree: Node): string[] {
  const texts: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    if (!isNode(value) || value.type.startsWith("Import")) return;
    const text = textOf(value);
    if (text !== undefined) texts.push(text);
    for (const field of Object.values(value)) {
      if (typeof field === "object" && field !== null && !(text !== undefined && isPart(field))) visit(field);
    }
  };
  visit(tree);
  return texts;
}

/** Already in the text of the node around it. */
function isPart(field: unknown): boolean {
  return Array.isArray(field) ? false : isNode(field) && textOf(field) !== undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** @returns undefined where it is no text */
function textOf(node: Node): string | undefined {
  const { type, value, quasis, left, right, operator } = node;
  if (type === "Literal" || type === "JSXText") return typeof value === "string" ? value : undefined;
  if (type === "TemplateLiteral") {
    const parts = (quasis as readonly { readonly value: { readonly cooked: string } }[]).map(
      (each) => each.value.cooked,
    );
    return parts.join("…");
  }
  if (type !== "BinaryExpression" || operator !== "+" || !isNode(left) || !isNode(right)) return undefined;
  const [a, b] = [textOf(left), textOf(right)];
  return a === undefined && b === undefined ? undefined : `${a ?? "…"}${b ?? "…"}`;
}
