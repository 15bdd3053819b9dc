// The words of the command line: which others stand for a command, and what is said of those that are none. Help,
// completion and errors read this one table. No imports: it is loaded before anything else.

/** Other words for the commands themselves. */
const topWords: Readonly<Record<string, readonly string[]>> = {
  network: ["networks", "net"],
  host: ["hosts", "node", "nodes"],
  vm: ["vms"],
  token: ["tokens"],
  events: ["event"],
  status: ["info"],
};

/** Other words for the commands below one, such as `list` of `vm`. Where a group has its own command of that name, it is that. */
const verbWords: Readonly<Record<string, readonly string[]>> = {
  list: ["ls"],
  get: ["show", "describe"],
  create: ["add", "register"],
  update: ["set", "edit"],
  delete: ["rm", "remove", "del"],
  evacuate: ["drain"],
};

/** These alone print the list: `nearmiss vms` is `nearmiss vm list`. */
const lists: readonly string[] = ["networks", "hosts", "vms", "nodes", "tokens"];

/** What people type who know other programs, where there is more to say than another word. */
const hints: Readonly<Record<string, string>> = {
  get: "The kind comes first: `nearmiss vm get NAME`, `nearmiss vm list`.",
  describe: "The kind comes first: `nearmiss vm describe NAME`.",
  show: "The kind comes first: `nearmiss vm show NAME`.",
  list: "The kind comes first: `nearmiss vm list`.",
  ls: "The kind comes first: `nearmiss vm ls`.",
  ps: "`nearmiss vm list` lists the VMs.",
  create: "The kind comes first: `nearmiss vm create --help`.",
  add: "The kind comes first: `nearmiss vm add --help`. `nearmiss host add --help` lets a host enrol.",
  delete: "The kind comes first: `nearmiss vm delete --help`.",
  remove: "The kind comes first: `nearmiss vm remove --help`.",
  rm: "The kind comes first: `nearmiss vm rm --help`.",
  plan: "`nearmiss diff` shows what `nearmiss apply` would change.",
  login:
    "There is no session: each command reads the token from a file. `nearmiss config` shows which one, `nearmiss whoami` what it allows.",
  logout: "There is no session: remove the token's file. `nearmiss token revoke --help` ends a token everywhere.",
  logs: "`nearmiss events` prints changes, `nearmiss audit` who made them. The controller's log is its standard error.",
  log: "`nearmiss events` prints changes, `nearmiss audit` who made them. The controller's log is its standard error.",
  condition:
    "`nearmiss status` lists the conditions; `nearmiss host list --problems` and `nearmiss vm list --problems` have theirs.",
  conditions:
    "`nearmiss status` lists the conditions; `nearmiss host list --problems` and `nearmiss vm list --problems` have theirs.",
  top: "`nearmiss status` shows the state; rates are in the dashboard and under /metrics.",
  ping: "`nearmiss status` shows whether the controller answers.",
  server: "`nearmiss controller --help` describes the server.",
  serve: "`nearmiss controller --help` describes the server.",
  daemon: "`nearmiss controller --help` describes the server, `nearmiss agent --help` the agent.",
  "vm migrate": "`nearmiss vm move --help` moves at once, `nearmiss vm prepare --help` starts a live migration.",
  "vm start": "nearmiss does not run VMs: it only knows where they are.",
  "vm stop": "nearmiss does not run VMs: it only knows where they are.",
  "vm restart": "nearmiss does not run VMs: it only knows where they are.",
  "host cordon": "No host is closed to new VMs alone. `nearmiss host down --help` marks one that is dead.",
  "host uncordon": "`nearmiss host up --help` removes the mark of a host that was marked down.",
  "host undrain":
    "`nearmiss host up --help` removes the mark of a host that was marked down; its VMs stay where they are.",
  "host enrol": "`nearmiss host add --help` prints the command that a host enrols with.",
  "host enroll": "`nearmiss host add --help` prints the command that a host enrols with.",
  "host join": "`nearmiss host add --help` prints the command that a host joins with.",
  "token delete": "`nearmiss token revoke --help` ends a token.",
  "token rm": "`nearmiss token revoke --help` ends a token.",
  "token remove": "`nearmiss token revoke --help` ends a token.",
  "host rename":
    "A name does not change. docs/hosts.md describes how a host gets another one while its guests communicate.",
  "vm rename": "A name does not change.",
  "network rename": "A name does not change.",
};

/** These only read, so a wrong guess does no harm. Others are never guessed. */
const harmless: readonly string[] = [
  ...["network", "host", "vm", "token", "ca", "explain", "resolve", "events", "diff", "export", "audit", "completion"],
  ...["status", "version", "whoami", "config", "help", "list", "get"],
];

/** The other words of a command, without those that its group uses for a command of its own. */
export function aliasesOf(name: string, isTop: boolean, siblings: readonly string[]): readonly string[] {
  return ((isTop ? topWords : verbWords)[name] ?? []).filter((word) => !siblings.includes(word));
}

/** The command that a first word stands for. */
export function topWordOf(word: string): string {
  return Object.keys(topWords).find((name) => topWords[name]?.includes(word)) ?? word;
}

/** The command that a second word stands for. */
export function verbOf(word: string, siblings: readonly string[]): string {
  if (siblings.includes(word)) return word;
  return Object.keys(verbWords).find((name) => siblings.includes(name) && verbWords[name]?.includes(word)) ?? word;
}

/** The words as the program knows them: `help vm create` is `vm create --help`, `vms -o json` is `vm list -o json`. */
export function canonicalWords(words: readonly string[]): readonly string[] {
  const [first = "", ...rest] = words;
  if (first === "help" && rest.length > 0) return canonicalWords([...rest, "--help"]);
  const top = topWordOf(first);
  const [second] = rest;
  const isBare = second === undefined || (second.startsWith("-") && second !== "-h" && second !== "--help");
  return lists.includes(first) && isBare ? [top, "list", ...rest] : [top, ...rest];
}

/**
 * What is said of a word that is no command. A command that changes something is never guessed: who follows the advice
 * would run it.
 * @param group "" for the commands themselves
 */
export function unknownCommand(group: string, word: string, known: readonly string[]): string {
  const path = group === "" ? word : `${group} ${word}`;
  const hint = Object.hasOwn(hints, path) ? hints[path] : undefined;
  // `vm web-1`: no command has a digit or a dot.
  const isName = group !== "" && known.includes("get") && /[\d._]/.test(word);
  const near = known.filter((name) => harmless.includes(name) && isNear(name, word));
  const program = group === "" ? "nearmiss" : `nearmiss ${group}`;
  return [
    `error: \`${program}\` has no command "${word}"`,
    hint ??
      (isName ? `A name follows the verb: \`${program} get ${word}\`.` : undefined) ??
      (near.length > 0 ? `Did you mean ${near.map((name) => `\`${program} ${name}\``).join(" or ")}?` : undefined),
    `Commands: ${known.join(", ")}. \`${program} --help\` describes them.`,
    "",
  ]
    .filter((line) => line !== undefined)
    .join("\n");
}

/** Other words for options, where the command has that option. */
const optionWords: Readonly<Record<string, readonly string[]>> = {
  // The word that the state had before.
  "--away": ["--disconnected"],
  "--down": ["--disconnected"],
  "--conditions": ["--problems"],
  "--unhealthy": ["--problems"],
  "--format": ["--output json"],
  "--yaml": ["--output yaml"],
  "--wide": ["--output wide"],
  "--selector": ["--label"],
  "--filter": ["--label"],
  "--follow": ["--watch"],
  "--tail": ["--follow"],
  "--sort-by": ["--sort"],
  "--server": ["--controller"],
  "--url": ["--controller"],
  "--cacert": ["--ca"],
  "--to": ["--host"],
};

/** These remove something or skip a question: never guessed either. */
const harmful: readonly string[] = ["--force", "--prune", "--yes", "--insecure", "--no-checksum", "--in-use"];

/** @param known with their dashes */
export function unknownOption(flag: string, known: readonly string[]): string {
  const meant = optionWords[flag]?.find((each) => known.includes(each.split(" ")[0] ?? ""));
  if (meant) return `error: unknown option ${flag}. Did you mean ${meant}?`;
  if (flag === "--no-trunc") return `error: unknown option ${flag}. Nothing is shortened, so there is no such option.`;
  const near = known.filter((each) => !harmful.includes(each) && isNear(each.slice(2), flag.replace(/^-+/, "")));
  return `error: unknown option ${flag}${near.length > 0 ? `. Did you mean ${near.join(" or ")}?` : ""}`;
}

/** One letter added, removed, changed or two swapped; two in a word of six or more. */
function isNear(name: string, word: string): boolean {
  return distance(name, word) <= (name.length < 6 ? 1 : 2);
}

/** Optimal string alignment. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      const changed = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      (rows[i] as number[])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, changed, swapped);
    }
  }
  return at(a.length, b.length);
}
