// The import rules of ARCHITECTURE.md, each with its reason.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

interface Rule {
  /** Files below this folder (or this file) … */
  readonly from: string;
  /** … import from these folders of ours and no other. */
  readonly may: readonly string[];
  /** Packages and node: modules, where they are restricted too. */
  readonly packages?: readonly string[];
  readonly because: string;
}

const agentDoors = ["schema/address", "schema/agent"] as const;
const clientDoors = ["schema/events", "schema/plain", "schema/rest", "schema/typebox.ts"] as const;

const rules: readonly Rule[] = [
  { from: "schema", may: ["schema"], because: "what crosses a boundary must not depend on either side" },
  { from: "schema/plain", may: ["schema/plain"], packages: [], because: "browsers and short commands load all of it" },
  {
    from: "schema/address",
    may: ["schema/address"],
    packages: ["ipaddr.js", "node:net"],
    because: "pure parts know addresses without knowing how they travel",
  },
  {
    from: "schema/agent",
    may: ["schema/address", "schema/agent", "schema/plain", "schema/typebox.ts"],
    because: "agents know nothing of the inventory's resources",
  },
  {
    from: "schema/rest",
    may: ["schema/address", "schema/agent", "schema/plain", "schema/rest", "schema/typebox.ts"],
    because: "resources do not know how their changes are published",
  },
  { from: "common", may: ["common"], because: "what all programs share depends on none of them" },
  {
    from: "controller",
    may: ["common", "controller", "schema"],
    because: "controller and agent meet on the wire only",
  },
  {
    from: "cli",
    may: ["cli", "common", "schema/version.ts", ...clientDoors],
    because: "commands use the controller's public API",
  },
  {
    from: "dashboard",
    may: ["common", "dashboard", ...clientDoors],
    because: "the page uses the controller's public API",
  },
  {
    from: "node-agent",
    may: ["common", "node-agent", ...agentDoors, "schema/plain", "schema/typebox.ts", "schema/version.ts"],
    because: "controller and agent meet on the wire only",
  },
  {
    from: "controller/inventory",
    may: ["controller/inventory", "schema/address", "schema/events", "schema/plain", "schema/rest"],
    packages: ["node:util", "sorted-btree"],
    because: "decisions are functions of their arguments",
  },
  {
    from: "node-agent/misses",
    may: ["node-agent/misses", "node-agent/tables", "common/round.ts", "common/token-bucket.ts", ...agentDoors],
    packages: [],
    because: "decisions are functions of their arguments",
  },
  {
    from: "node-agent/findings",
    may: ["node-agent/findings", "node-agent/misses/budget.ts", "common/defined.ts", "common/every.ts", ...agentDoors],
    packages: [],
    because: "what is reported when is a function of what happened, time included",
  },
  {
    from: "node-agent/tables",
    may: ["node-agent/tables", "schema/address"],
    packages: [],
    because: "plans are functions of their arguments",
  },
  {
    from: "node-agent/kernel",
    may: [
      "node-agent/kernel",
      "node-agent/misses/miss.ts",
      "node-agent/misses/waiting.ts",
      "node-agent/tables/entry.ts",
      "node-agent/tables/port.ts",
      "node-agent/tables/port-claims.ts",
      "node-agent/tables/replica-rows.ts",
      "common",
      ...agentDoors,
    ],
    because: "the kernel's edge decides nothing",
  },
  {
    from: "node-agent/controller-link",
    may: ["node-agent/controller-link", "common", ...agentDoors],
    because: "the session knows frames, not what they are for",
  },
];

/** How many arrows between rooms the code has: only lowered, as soon as there are fewer. Those to common/ couple nothing. */
const maxArrows = 126;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** The imports of a file, as paths below the root for ours and as names for packages. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const statements = text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g);
  return [...statements].map(([, named, dynamic]) => {
    const target = named ?? dynamic ?? "";
    return target.startsWith(".") ? relative(root, resolve(root, dirname(file), target)) : target;
  });
}

const isOurs = (target: string): boolean => target.includes("/") && /\.tsx?$/.test(target);

function breaches(rule: Rule, file: string, imports: readonly string[]): string[] {
  return imports
    .filter((target) =>
      isOurs(target)
        ? !rule.may.some((folder) => target === folder || target.startsWith(`${folder}/`))
        : rule.packages !== undefined && !rule.packages.includes(target),
    )
    .map((target) => `${file} imports ${target}`);
}

/** A folder of controller/ or node-agent/, the files beside these folders, or another program as a whole. */
function roomOf(file: string): string {
  const [program = "", folder = "", inside] = file.split("/");
  const hasRooms = program === "controller" || program === "node-agent";
  return hasRooms && inside !== undefined ? `${program}/${folder}` : program;
}

/** Which rooms import from which other ones, once for each two; `common/` is a library. @param imports of each file */
function arrowsBetween(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const arrows = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => isOurs(target) && ![roomOf(file), "common"].includes(roomOf(target)))
      .map((target) => `${roomOf(file)} → ${roomOf(target)}`),
  );
  return [...new Set(arrows)].sort();
}

describe("layers", () => {
  test.each(rules)("$from imports only from $may: $because", (rule) => {
    const files = sources(rule.from);
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap((file) => breaches(rule, file, importsOf(file)))).toEqual([]);
  });

  test("a breach is found", () => {
    const rule = rules.find((each) => each.from === "controller/inventory");
    if (!rule) throw new Error("the rule is gone");
    const imports = ["schema/rest/index.ts", "node-agent/agent.ts", "node:fs"];
    expect(breaches(rule, "x.ts", imports)).toEqual(["x.ts imports node-agent/agent.ts", "x.ts imports node:fs"]);
  });

  test("there are no more arrows between rooms than allowed", () => {
    const files = ["cli", "common", "controller", "dashboard", "node-agent", "schema"].flatMap(sources);
    const arrows = arrowsBetween(new Map(files.map((file) => [file, importsOf(file)])));
    console.log(`${arrows.length} arrows between rooms, at most ${maxArrows}`);
    expect(arrows.length, arrows.join("\n")).toBeLessThanOrEqual(maxArrows);
  });

  test("an arrow counts once, and none within a room or to common/", () => {
    const imports = new Map([
      ["node-agent/agent.ts", ["node-agent/main.ts", "node-agent/session/a.ts", "node-agent/session/b.ts", "node:fs"]],
      ["node-agent/session/a.ts", ["node-agent/session/deep/c.ts", "common/duration.ts", "schema/rest/index.ts"]],
      ["node-agent/session/deep/c.ts", ["schema/rest/vm.ts"]],
    ]);
    expect(arrowsBetween(imports)).toEqual(["node-agent → node-agent/session", "node-agent/session → schema"]);
  });

  test("SQLite is loaded by the store and by backups", () => {
    const direct = ["schema", "cli", "controller", "node-agent", "bin"]
      .flatMap(sources)
      .filter((file) => importsOf(file).some((target) => target.startsWith("better-sqlite3")));
    expect(direct.length).toBeGreaterThan(0);
    expect(direct.filter((file) => !/^controller\/(store\/sqlite|backup)\//.test(file))).toEqual([]);
  });

  /** Each of these refuses files planted by another user: test/abuse/planted-files.test.ts. */
  test("files and directories are created in few places", () => {
    const makers =
      /\b(open|openSync|writeFile\w*|appendFile\w*|createWriteStream|copyFile\w*|cp|cpSync|mkdir\w*|mkdtemp\w*|link|linkSync|symlink\w*|rename\w*)\b/;
    const made = ["bin", "cli", "common", "controller", "node-agent", "schema"].flatMap(sources).filter((file) => {
      const imports = readFileSync(join(root, file), "utf8").matchAll(
        /import \{([^}]*)\} from "node:fs(?:\/promises)?"/g,
      );
      return [...imports].some(([, names = ""]) => makers.test(names));
    });
    expect(made.sort()).toEqual([
      // Reads.
      "cli/commands/import.ts",
      "common/durable-file.ts",
      // Made with O_TMPFILE or O_EXCL.
      "common/nameless-file.ts",
      "common/record-file.ts",
      "controller/backup/files.ts",
      "controller/backup/restore.ts",
      // The directory of CAs, beside the database.
      "controller/pki/authorities.ts",
      // Reads.
      "controller/store/last-backup.ts",
      // Made with O_EXCL.
      "controller/store/sqlite/lock.ts",
      "node-agent/identity/state.ts",
      // A setting below /proc/sys.
      "node-agent/kernel/devices/ipv6-setting.ts",
      // The directory of sockets.
      "node-agent/status/server.ts",
    ]);
  });

  test("files outside a room of schema/ import from its index.ts only", () => {
    const folders = ["bin", "cli", "common", "controller", "dashboard", "node-agent", "schema", "test", "testkit"];
    const isPast = (file: string, target: string) =>
      /^schema\/[^/]+\/./.test(target) && !target.endsWith("/index.ts") && dirname(target) !== dirname(file);
    const past = folders
      .flatMap(sources)
      .flatMap((file) => importsOf(file).flatMap((target) => (isPast(file, target) ? [`${file} → ${target}`] : [])));
    expect(past).toEqual([]);
  });

  /** Others load TypeBox, which the page does not need. `import { type … }` loads a file too (`verbatimModuleSyntax`). */
  test("the dashboard loads schema/plain/ and has only types of the other rooms", () => {
    const loaded = sources("dashboard").flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8");
      return [...text.matchAll(/^import (?!type\b)[^;]*?from "[./]*schema\/([^"/]+)/gm)].map(([, room]) => room);
    });
    expect([...new Set(loaded)]).toEqual(["plain"]);
  });

  test("only schema/ has barrels, one for each room", () => {
    const barrels = ["common", "controller", "node-agent", "testkit"]
      .flatMap(sources)
      .filter((file) => file.endsWith("/index.ts"));
    expect(barrels).toEqual([]);
  });
});

test("the version of the build is package.json's", async () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const { version } = await import("../../schema/version.ts");
  expect(version).toBe(manifest.version);
});
