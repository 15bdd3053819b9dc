// Backups with the controller's CA: a restored controller is the one that enrolled hosts trust, and no controller makes another
// CA by itself while hosts have certificates.
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { describe, expect, onTestFinished, test } from "vitest";
import { ControllerProcess, runCommand } from "../support/controller-process.ts";
import { startEnrolling } from "../support/enrolled.ts";

const keys = /PRIVATE KEY/;

/** A controller with an enrolled host, and where its copies go. */
async function stand() {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const controller = await startEnrolling();
  const identity = await controller.enrol("a");
  const at = (name: string): string => join(directory, name);
  const write = (name: string, text: string): string => {
    writeFileSync(at(name), text, { mode: 0o600 });
    return at(name);
  };
  const backUp = async (...flags: string[]) => {
    const taken = await runCommand("backup", at("backup.db"), "--db", controller.db, ...flags);
    expect(taken.status, taken.output).toBe(0);
    return taken.output;
  };
  const restore = (...flags: string[]) => runCommand("restore", at("backup.db"), "--db", at("other.db"), ...flags);
  const restored = () => ({ db: at("other.db"), pki: at("other.db.pki"), draft: at("other.db.restoring") });
  return { directory, controller, identity, at, write, backUp, restore, restored };
}

const filesIn = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name), "utf8")]),
  );

describe("a backup of a controller with TLS", () => {
  test("restores the CA: an enrolled host has a session with the restored controller", async () => {
    const { controller, identity, backUp, restore, restored, at } = await stand();
    const said = await backUp();
    expect(said).toContain("contains the keys of the controller's CA in plain text");
    expect(said).toContain("with the CA in plain text");
    expect(statSync(at("backup.db")).mode & 0o777).toBe(0o600);
    expect(readFileSync(at("backup.db"), "latin1")).toMatch(keys);
    await controller.stop();
    const { status, output } = await restore();
    expect([status, output]).toEqual([0, expect.stringMatching(/The CA is in .*other\.db\.pki/)]);
    const { db, pki, draft } = restored();
    expect(filesIn(pki)).toEqual(filesIn(`${controller.db}.pki`));
    expect(statSync(pki).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(pki)) expect(statSync(join(pki, name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(db, "latin1")).not.toMatch(keys);
    expect(existsSync(draft)).toBe(false);

    const second = await startEnrolling({ db });
    expect((await second.agent(identity).hello()).host).toBe("a");
    expect((await second.ask({ identity }, "GET", "/v1/hosts/a")).status).toBe(200);
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "that root restores into the directory of the controller's user belongs to that user",
    async () => {
      const { controller, backUp, directory } = await stand();
      await backUp();
      await controller.stop();
      const user = 65_534;
      const home = join(directory, "home");
      mkdirSync(home, { mode: 0o700 });
      chownSync(home, user, user);
      const { status, output } = await runCommand(
        "restore",
        join(directory, "backup.db"),
        "--db",
        join(home, "nearmiss.db"),
      );
      expect([status, output]).toEqual([0, expect.any(String)]);
      const made = readdirSync(home, { recursive: true }).map(String).sort();
      expect(made).toEqual(expect.arrayContaining(["nearmiss.db", "nearmiss.db.lock", "nearmiss.db.pki"]));
      for (const name of made) {
        const { uid, gid, mode } = statSync(join(home, name));
        expect([name, uid, gid, mode & 0o077]).toEqual([name, user, user, 0]);
      }
    },
  );

  test.each(["recipient", "passphrase"] as const)(
    "encrypts the keys for a %s, and opens with its key only",
    async (kind) => {
      const { controller, write, backUp, restore, restored, at } = await stand();
      const [identity, other] = [await generateIdentity(), await generateIdentity()];
      const identities = write("key.txt", `# created: today\n# public key: …\n${identity}\n`);
      const wrong = write("wrong.txt", `${other}\n`);
      const [passphrase, mistaken] = [
        write("passphrase", "correct horse\nnot this\n"),
        write("mistaken", "wrong horse\n"),
      ];
      const isKey = kind === "recipient";
      const said = await backUp(
        ...(isKey ? ["--recipient", await identityToRecipient(identity)] : ["--passphrase-file", passphrase]),
      );
      expect(said).toContain("with the CA encrypted");
      expect(said).not.toContain("plain text");
      expect(readFileSync(at("backup.db"), "latin1")).not.toMatch(keys);
      const refuses = async (flags: string[], status: number, why: RegExp) => {
        expect(await restore(...flags)).toEqual({ status, output: expect.stringMatching(why) });
        const { db, pki, draft } = restored();
        expect([db, pki, draft].filter(existsSync)).toEqual([]);
      };
      await refuses([], 1, /is encrypted: name the key with --identity or --passphrase-file, or add --without-ca/);
      await refuses(
        isKey ? ["--identity", wrong] : ["--passphrase-file", mistaken],
        1,
        /cannot be decrypted with this key/,
      );
      await refuses(["--identity", write("no-key.txt", "# nothing\n")], 2, /has no key of age/);
      await refuses(["--identity", write("words.txt", "hello\n")], 1, /is not a key of age/);
      await refuses(["--passphrase-file", write("empty", "\n")], 2, /has no passphrase in its first line/);
      await refuses(["--passphrase-file", at("missing")], 2, /cannot read --passphrase-file/);
      const opened = await restore(...(isKey ? ["--identity", identities] : ["--passphrase-file", passphrase]));
      expect(opened.status, opened.output).toBe(0);
      expect(filesIn(restored().pki)).toEqual(filesIn(`${controller.db}.pki`));
    },
  );

  test("keeps a directory that has the backup's CA, with newer ones, and refuses another's", async () => {
    const { controller, backUp, restore, restored } = await stand();
    await backUp();
    const added = await controller.call(201, "POST", "/v1/authorities");
    const { db, pki } = restored();
    cpSync(`${controller.db}.pki`, pki, { recursive: true });
    chmodSync(pki, 0o700);
    const before = filesIn(pki);
    expect(Object.keys(before)).toContain(`${added.id}.crt`);
    const kept = await restore();
    expect([kept.status, kept.output]).toEqual([0, expect.stringContaining("has the backup's CA already")]);
    expect(filesIn(pki)).toEqual(before);

    rmSync(db);
    rmSync(pki, { recursive: true });
    cpSync(`${(await startEnrolling()).db}.pki`, pki, { recursive: true });
    const foreign = filesIn(pki);
    const refused = await restore();
    expect([refused.status, refused.output]).toEqual([1, expect.stringMatching(/has another CA than the backup/)]);
    expect(existsSync(db)).toBe(false);
    expect(filesIn(pki)).toEqual(foreign);
    const without = await restore("--without-ca");
    expect([without.status, without.output]).toEqual([0, expect.stringMatching(/CA was left out\. Before you start/)]);
    expect(filesIn(pki)).toEqual(foreign);
    expect(readFileSync(db, "latin1")).not.toMatch(keys);
  });

  test("without the CA has no keys, and says what is needed", async () => {
    const { backUp, restore, restored, at } = await stand();
    expect(await backUp("--without-ca")).toContain("without the CA");
    expect(readFileSync(at("backup.db"), "latin1")).not.toMatch(keys);
    const { status, output } = await restore();
    expect([status, output]).toEqual([
      0,
      expect.stringMatching(/The backup has no CA\. Before you start it, put the CA of its enrolled host into/),
    ]);
    expect(existsSync(restored().pki)).toBe(false);
  });

  test("refuses flags that contradict each other, a recipient that is none, and a CA that is not complete", async () => {
    const { controller, at, write } = await stand();
    const refuses = async (flags: string[], status: number, why: RegExp) => {
      const refused = await runCommand("backup", at("backup.db"), "--db", controller.db, ...flags);
      expect(refused).toEqual({ status, output: expect.stringMatching(why) });
      expect([at("backup.db"), at("backup.db.sha256"), at("backup.db.partial")].filter(existsSync)).toEqual([]);
    };
    const passphrase = write("passphrase", "x\n");
    await refuses(["--recipient", "age1x", "--passphrase-file", passphrase], 2, /exclude each other/);
    await refuses(["--without-ca", "--passphrase-file", passphrase], 2, /leaves nothing to encrypt/);
    await refuses(["--recipient", "age1nonsense"], 1, /"age1nonsense" is not a recipient of age/);
    const pki = `${controller.db}.pki`;
    const key = readdirSync(pki).find((name) => name.endsWith(".key")) ?? "";
    rmSync(join(pki, key));
    await refuses([], 1, /the CA in .*\.pki is not complete/);
  });
});

describe("a controller whose database has enrolled hosts", () => {
  test("makes no other CA unless --new-ca asks for it", async () => {
    const { controller } = await stand();
    await controller.stop();
    const { db } = controller;
    const pki = `${db}.pki`;
    rmSync(pki, { recursive: true });
    for (const name of readdirSync(dirname(db))) chmodSync(join(dirname(db), name), 0o600);
    const refused = ControllerProcess.launch(db, 0, ["--tls", "self"]);
    expect(await refused.ended).toBe(1);
    expect(refused.logs.map(({ msg }) => msg).join("\n")).toMatch(
      /\.pki has no CA, and host a has a certificate of one: put the directory back.*start once with --new-ca/,
    );
    expect(existsSync(pki)).toBe(false);
    // An empty directory is no CA either.
    mkdirSync(pki, { mode: 0o700 });
    expect(await ControllerProcess.launch(db, 0, ["--tls", "self"]).ended).toBe(1);

    const told = ControllerProcess.launch(db, 0, ["--tls", "self", "--new-ca"]);
    await told.waitForLog(({ msg }) => msg === "listening", "it to listen");
    expect(told.logs.some(({ msg }) => /a new CA is made: each host/.test(String(msg)))).toBe(true);
    await told.stop();
    const again = ControllerProcess.launch(db, 0, ["--tls", "self"]);
    await again.waitForLog(({ msg }) => msg === "listening", "it to listen");
    expect(again.logs.some(({ msg }) => /certificates of CAs that are not here/.test(String(msg)))).toBe(true);
  });

  test("does not take --new-ca without TLS", async () => {
    const { at } = await stand();
    expect(await runCommand("controller", "--db", at("x.db"), "--new-ca")).toEqual({
      status: 2,
      output: expect.stringContaining("--new-ca goes with --tls self or --tls-cert"),
    });
  });
});
