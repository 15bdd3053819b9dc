// `nearmiss backup` and `nearmiss restore`: on the controller's machine, with its files.
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "../../common/commander.ts";
import { CliError } from "../errors.ts";
import { action, addOutputOption, format, type OutputOptions } from "../output.ts";
import { collect } from "./writing.ts";

/** The implementation of the two commands. */
export interface BackupDesk {
  backUp(options: {
    readonly db: string;
    readonly to: string;
    readonly rate: number;
    readonly onProgress: (share: number) => void;
    readonly withCa: boolean;
    readonly protection: { readonly recipients: readonly string[]; readonly passphrase?: string };
  }): Promise<BackedUp>;
  restore(options: {
    readonly from: string;
    readonly db: string;
    readonly checksum: boolean;
    readonly withCa: boolean;
    readonly opening: { readonly identities: readonly string[]; readonly passphrase?: string };
  }): Promise<Restored>;
}

interface BackedUp {
  readonly file: string;
  readonly revision: number;
  readonly epoch: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly ca: "plain" | "encrypted" | "absent" | "left-out";
  readonly noted: boolean;
}

interface Restored {
  readonly db: string;
  readonly revision: number;
  readonly epoch: string;
  readonly formerEpoch: string;
  readonly ca: "restored" | "kept" | "absent" | "left-out";
  readonly enrolledHosts: number;
}

interface BackupFlags extends OutputOptions {
  readonly db: string;
  readonly rate: number;
  readonly recipient: readonly string[];
  readonly passphraseFile?: string;
  readonly withoutCa?: true;
}

interface RestoreFlags extends OutputOptions {
  readonly db: string;
  readonly checksum: boolean;
  readonly identity?: string;
  readonly passphraseFile?: string;
  readonly withoutCa?: true;
}

const defaultRate = 16;

const backupHelp = `
The controller can keep running. The backup is the database as it was when the command started, and the controller's CA, with
its checksum in a file beside it (sha256sum -c FILE.sha256). Only its owner can read it: it contains hashes of tokens, and the
keys of the CA, whose reader can act as the controller and as each host. --recipient or --passphrase-file encrypt these in
age's format (age-encryption.org/v1).
Exit status: 0 done, 1 refused or failed (nothing is left then), 2 wrong usage.

Example: nearmiss backup --db /var/lib/nearmiss/nearmiss.db /var/backups/nearmiss-$(date +%F).db`;

const restoreHelp = `
Stop the controller first, and move its database and the directory DB.pki away: nothing is overwritten. The backup is verified
before anything is written. A directory DB.pki that already has the backup's CA is kept. The restored database has a new epoch: agents request the answers for all their entries again and correct only
differences; consumers of the event stream start with a snapshot.
Exit status: 0 done, 1 refused or failed (nothing is left then), 2 wrong usage.

Example: nearmiss restore /var/backups/nearmiss-2026-11-21.db --db /var/lib/nearmiss/nearmiss.db`;

const notNoted = (db: string): string =>
  `nearmiss: the backup is complete, but its time could not be written to ${db}.last-backup, so a controller with --backup-within does not know of it; ` +
  "run this as the controller's user\n";

export function addBackupCommand(program: Command, desk: Pick<BackupDesk, "backUp">): void {
  addOutputOption(program.command("backup"), "text")
    .summary("copy the controller's database while it is in use")
    .description("Makes a consistent, verified copy of the controller's database while the controller runs.")
    .argument("<file>", "the file to write; must not exist")
    .option("--db <path>", "the controller's database", "nearmiss.db")
    .addOption(
      new Option("--rate <MiB/s>", "how fast it may read, so that the controller keeps its share of the disk")
        .argParser(parseRate)
        .default(defaultRate),
    )
    .option("--recipient <age1…>", "encrypt the CA's keys for this public key of age; may be repeated", collect, [])
    .option("--passphrase-file <path>", "encrypt the CA's keys with the first line of this file")
    .option("--without-ca", "leave the CA out: without it, restored hosts need new join tokens")
    .addHelpText("after", backupHelp)
    .action(
      action(async (to: string, { db, rate, recipient, passphraseFile, withoutCa, output }: BackupFlags) => {
        process.umask(0o077);
        if (passphraseFile !== undefined && recipient.length > 0)
          throw new CliError("--recipient and --passphrase-file exclude each other: name one of them", 2);
        if (withoutCa && (passphraseFile !== undefined || recipient.length > 0))
          throw new CliError("--without-ca leaves nothing to encrypt: leave out --recipient and --passphrase-file", 2);
        const protection = { recipients: recipient, ...passphraseOf(passphraseFile) };
        const onProgress = progressOn(process.stderr);
        const result = await desk.backUp({ db, to, rate, onProgress, withCa: withoutCa !== true, protection });
        if (result.ca === "plain") process.stderr.write(plainWarning);
        if (!result.noted) process.stderr.write(notNoted(db));
        const size = (result.bytes / 2 ** 20).toFixed(1);
        const done = `${result.file}: revision ${result.revision}, ${size} MiB, ${caWords[result.ca]}, checksum in ${result.file}.sha256\n`;
        return format(output, result, () => done);
      }),
    );
}

export function addRestoreCommand(program: Command, desk: Pick<BackupDesk, "restore">): void {
  addOutputOption(program.command("restore"), "text")
    .summary("restore a database from a backup")
    .description("Verifies a backup and restores a database from it; the database must not exist.")
    .argument("<file>", "a file that `nearmiss backup` made")
    .option("--db <path>", "the database to create; must not exist", "nearmiss.db")
    .option("--no-checksum", "do not require the checksum file; the backup itself is still verified")
    .option("--identity <path>", "file with the private key of age that opens the CA's keys, as `age-keygen` writes it")
    .option("--passphrase-file <path>", "file with the passphrase that opens the CA's keys, in its first line")
    .option("--without-ca", "restore the database alone, and leave DB.pki as it is")
    .addHelpText("after", restoreHelp)
    .action(
      action(async (from: string, { db, checksum, identity, passphraseFile, withoutCa, output }: RestoreFlags) => {
        process.umask(0o077);
        const identities = identity === undefined ? [] : identitiesIn(identity);
        const opening = { identities, ...passphraseOf(passphraseFile) };
        const result = await desk.restore({ from, db, checksum, withCa: withoutCa !== true, opening });
        return format(output, result, () => restoredText(result));
      }),
    );
}

const plainWarning =
  "nearmiss: the backup contains the keys of the controller's CA in plain text: a reader of them can act as the controller and as each host. " +
  "Keep it like a key, or encrypt them with --recipient or --passphrase-file.\n";
const caWords = {
  plain: "with the CA in plain text",
  encrypted: "with the CA encrypted",
  absent: "no CA",
  "left-out": "without the CA",
};

/** Without the flags to start with: those of the controller are not in its database. */
function restoredText({ db, revision, ca, enrolledHosts }: Restored): string {
  const directory = `${db}.pki`;
  const hosts = enrolledHosts === 1 ? "its enrolled host" : `its ${enrolledHosts} enrolled hosts`;
  const without = `Before you start it, put the CA of ${hosts} into ${directory}: otherwise the controller refuses to start with TLS.\n`;
  const words = {
    restored: `The CA is in ${directory}.\n`,
    kept: `${directory} has the backup's CA already, and is as it was.\n`,
    absent: enrolledHosts > 0 ? `The backup has no CA. ${without}` : "",
    "left-out": enrolledHosts > 0 ? `The CA was left out. ${without}` : "",
  };
  return (
    `${db}: as it was at revision ${revision}, with a new epoch. ${words[ca]}` +
    "Start the controller as before, with the same flags.\n"
  );
}

/** @throws CliError if there is none in the file */
function passphraseOf(file: string | undefined): { readonly passphrase?: string } {
  if (file === undefined) return {};
  const [passphrase = ""] = readNamed("--passphrase-file", file).split(/\r?\n/);
  if (passphrase === "") throw new CliError(`--passphrase-file ${file} has no passphrase in its first line`, 2);
  return { passphrase };
}

/** The lines of a file of age-keygen that are no comments. */
function identitiesIn(file: string): string[] {
  const lines = readNamed("--identity", file).split(/\r?\n/);
  const identities = lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  if (identities.length === 0) throw new CliError(`--identity ${file} has no key of age`, 2);
  return identities;
}

function readNamed(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(`cannot read ${flag} ${file}: ${error instanceof Error ? error.message : error}`, 2);
  }
}

/** @throws InvalidArgumentError outside 1 … 10000 */
function parseRate(text: string): number {
  const rate = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(rate >= 1 && rate <= 10_000)) throw new InvalidArgumentError("Write a whole number from 1 to 10000.");
  return rate;
}

/** Per cent on a terminal, nothing elsewhere. */
function progressOn(stream: NodeJS.WriteStream): (share: number) => void {
  if (!stream.isTTY) return () => {};
  let shown = -1;
  return (share) => {
    const percent = Math.floor(share * 100);
    if (percent === shown) return;
    shown = percent;
    stream.write(share === 1 ? "\r\x1b[K" : `\r${percent} %`);
  };
}
