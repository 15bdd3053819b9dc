// Files that another user of the machine plants where nearmiss is about to write, such as in a directory that everybody may write to:
// nothing is written through them, and nothing is taken from them.
import {
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HostState } from "../../node-agent/identity/state.ts";
import type { LabProcess } from "../../testkit/lab/process.ts";
import { ControllerProcess, runCommand, temporaryDirectory } from "../support/controller-process.ts";

const isRoot = process.getuid?.() === 0;
const stranger = 65_534;

/**
 * What may exist under a name before nearmiss uses it. Each returns afterwards whether something was written through
 * it.
 */
const plants: Readonly<Record<string, (path: string, directory: string) => () => void>> = {
  "a link to nowhere": (path, directory) => {
    const target = join(directory, "made-by-nobody");
    symlinkSync(target, path);
    return () => expect(existsSync(target), `${path} was followed`).toBe(false);
  },
  "a link to a file": (path, directory) => {
    const target = join(directory, "victim");
    writeFileSync(target, "precious\n", { mode: 0o644 });
    symlinkSync(target, path);
    return () => {
      expect(readFileSync(target, "utf8"), `${path} was followed`).toBe("precious\n");
      expect(statSync(target).mode & 0o777).toBe(0o644);
    };
  },
  "a file that everybody reads": (path) => {
    writeFileSync(path, "", { mode: 0o666 });
    const { ino } = statSync(path);
    return () => {
      const now = lstatSync(path, { throwIfNoEntry: false });
      const same = now?.ino === ino ? now.size : 0;
      expect(same, `${path} was written to`).toBe(0);
    };
  },
};
const each = (names: readonly string[]): [kind: string, name: string][] =>
  Object.keys(plants).flatMap((kind) => names.map((name): [string, string] => [kind, name]));
const plant = (kind: string, path: string, directory: string): (() => void) => {
  const check = plants[kind]?.(path, directory);
  if (!check) throw new Error(`no plant ${kind}`);
  return check;
};

test("backup and restore do not write through planted files", {
  timeout: 120_000,
}, async () => {
  const directory = temporaryDirectory();
  const db = join(directory, "nearmiss.db");
  const controller = await ControllerProcess.start(db);
  await controller.furnish();
  const good = join(directory, "good.db");
  expect((await runCommand("backup", good, "--db", db)).status).toBe(0);

  for (const [kind, ending] of each(["", ".sha256", ".partial", ".partial-journal", ".partial-wal", "-journal"])) {
    const open = temporaryDirectory();
    const backup = join(open, "backup.db");
    const untouched = plant(kind, `${backup}${ending}`, open);
    const { status, output } = await runCommand("backup", backup, "--db", db);
    untouched();
    if (["", ".sha256", ".partial"].includes(ending)) {
      expect([ending, kind, status, output]).toEqual([
        ending,
        kind,
        1,
        expect.stringContaining(`${backup}${ending} exists`),
      ]);
    } else expect([ending, kind, status, output]).toEqual([ending, kind, 0, expect.anything()]);
  }

  const endings = ["", "-wal", "-shm", "-journal", ".lock", ".restoring", ".restoring-journal", ".restoring-wal"];
  for (const [kind, ending] of each(endings)) {
    const open = temporaryDirectory();
    const other = join(open, "other.db");
    const untouched = plant(kind, `${other}${ending}`, open);
    const { status, output } = await runCommand("restore", good, "--db", other);
    untouched();
    const passes = ending.startsWith(".restoring-") || (ending === ".lock" && !kind.includes("link"));
    expect([ending, kind, status, output]).toEqual([ending, kind, passes ? 0 : 1, expect.anything()]);
    if (!passes) expect(output).toContain(`${other}${ending}`);
  }
});

const outcome = (controller: LabProcess): Promise<"listening" | "ended"> =>
  controller
    .waitForLog(({ msg }) => msg === "listening")
    .then(
      () => "listening",
      () => "ended",
    );

const identity = {
  controller: "https://192.0.2.250:4788/",
  host: "a",
  key: "the private key",
  certificate: "",
  ca: "",
  joined: "",
};

describe.each(each(["identity.json", "identity.json.new", "enrolling.json", "enrolling.json.new"]))(
  "%s in place of %s",
  (kind, name) => {
    test("receives no private key of a host", () => {
      const directory = temporaryDirectory();
      const stateDirectory = join(directory, "state");
      mkdirSync(stateDirectory, { mode: 0o700 });
      const untouched = plant(kind, join(stateDirectory, name), directory);
      const state = new HostState(stateDirectory);
      state.putAttempt({ joined: "", key: identity.key });
      state.putIdentity(identity);
      untouched();
      for (const file of ["identity.json", "enrolling.json"]) {
        const found = lstatSync(join(stateDirectory, file));
        expect([file, found.isFile(), found.mode & 0o777]).toEqual([file, true, 0o600]);
      }
      expect(state.findIdentity()).toEqual(identity);
    });
  },
);

describe.skipIf(!isRoot && process.env.CI !== "true")("a directory that another user owns", () => {
  test("receives no private key of a host", () => {
    const directory = join(temporaryDirectory(), "state");
    mkdirSync(directory, { mode: 0o700 });
    lchownSync(directory, stranger, stranger);
    const state = new HostState(directory);
    expect(() => state.putAttempt({ joined: "", key: identity.key })).toThrow(/belongs to another user/);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe.skipIf(!isRoot && process.env.CI !== "true")("a file planted by another user", () => {
  test.each([".lock", "-journal", "-wal", ".admin-token", ".pki"])(
    "as nearmiss.db%s is not used by a controller that starts for the first time",
    async (ending) => {
      const directory = temporaryDirectory();
      const db = join(directory, "nearmiss.db");
      if (ending === ".pki") mkdirSync(`${db}${ending}`, { mode: 0o700 });
      else writeFileSync(`${db}${ending}`, "", { mode: 0o600 });
      lchownSync(`${db}${ending}`, stranger, stranger);
      const controller = ControllerProcess.launch(db, 0, ["--tls", "self"]);
      expect(await outcome(controller)).toBe("ended");
      expect(JSON.stringify(controller.logs)).toContain(`${db}${ending} was made by another user`);
      expect(readdirSync(directory)).toEqual([`nearmiss.db${ending}`]);
    },
  );

  const endings = ["", "-wal", "-shm", "-journal", ".lock", ".admin-token", ".admin-token.new", ".pki"];
  test.each(endings)("as a link nearmiss.db%s is not followed by a controller", async (ending) => {
    const directory = temporaryDirectory();
    const db = join(directory, "nearmiss.db");
    const target = join(directory, "made-by-nobody");
    symlinkSync(target, `${db}${ending}`);
    lchownSync(`${db}${ending}`, stranger, stranger);
    const controller = ControllerProcess.launch(db, 0, ["--tls", "self"]);
    // What looks like its own leftover is removed and created again.
    expect(await outcome(controller)).toBe(ending === ".admin-token.new" ? "listening" : "ended");
    if (ending !== ".admin-token.new") expect(JSON.stringify(controller.logs)).toContain(`${db}${ending}`);
    expect(existsSync(target)).toBe(false);
  });

  test("is distinguished from an operator's own link, which keeps the database on another disk", async () => {
    const [directory, disk] = [temporaryDirectory(), temporaryDirectory()];
    const db = join(directory, "nearmiss.db");
    symlinkSync(join(disk, "data.db"), db);
    await ControllerProcess.start(db);
    expect(existsSync(join(disk, "data.db"))).toBe(true);
  });
});
