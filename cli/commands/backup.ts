// `nearmiss backup` and `nearmiss restore`: on the controller's machine, with its files.
import { type Command, InvalidArgumentError, Option } from "../../common/commander.ts";
import { action, addOutputOption, format, type OutputOptions } from "../output.ts";

type BackUp = (options: {
  readonly db: string;
  readonly to: string;
  readonly rate: number;
  readonly onProgress: (share: number) => void;
}) => Promise<{ file: string; revision: number; epoch: string; bytes: number; sha256: string }>;

type Restore = (options: {
  readonly from: string;
  readonly db: string;
  readonly checksum: boolean;
}) => Promise<{ db: string; revision: number; epoch: string; formerEpoch: string }>;

interface BackupFlags extends OutputOptions {
  readonly db: string;
  readonly rate: number;
}

interface RestoreFlags extends OutputOptions {
  readonly db: string;
  readonly checksum: boolean;
}

const defaultRate = 16;

const backupHelp = `
The controller can keep running. The backup is the database as it was when the command started, with its checksum in a
file beside it (sha256sum -c FILE.sha256). It contains hashes of tokens, so only its owner can read it.
Exit status: 0 done, 1 refused or failed (nothing is left then), 2 wrong usage.

Example: nearmiss backup --db /var/lib/nearmiss/nearmiss.db /var/backups/nearmiss-$(date +%F).db`;

const restoreHelp = `
Stop the controller first, and rename its database: nothing is overwritten. The backup is verified before anything is
written. The restored database has a new epoch: agents request the answers for all their entries again and correct only
differences; consumers of the event stream start with a snapshot.
Exit status: 0 done, 1 refused or failed (nothing is left then), 2 wrong usage.

Example: nearmiss restore /var/backups/nearmiss-2026-11-21.db --db /var/lib/nearmiss/nearmiss.db`;

export function addBackupCommand(program: Command, backUp: BackUp): void {
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
    .addHelpText("after", backupHelp)
    .action(
      action(async (to: string, { db, rate, output }: BackupFlags) => {
        process.umask(0o077);
        const result = await backUp({ db, to, rate, onProgress: progressOn(process.stderr) });
        const size = (result.bytes / 2 ** 20).toFixed(1);
        const done = `${result.file}: revision ${result.revision}, ${size} MiB, checksum in ${result.file}.sha256\n`;
        return format(output, result, () => done);
      }),
    );
}

export function addRestoreCommand(program: Command, restore: Restore): void {
  addOutputOption(program.command("restore"), "text")
    .summary("restore a database from a backup")
    .description("Verifies a backup and restores a database from it; the database must not exist.")
    .argument("<file>", "a file that `nearmiss backup` made")
    .option("--db <path>", "the database to create; must not exist", "nearmiss.db")
    .option("--no-checksum", "do not require the checksum file; the backup itself is still verified")
    .addHelpText("after", restoreHelp)
    .action(
      action(async (from: string, { db, checksum, output }: RestoreFlags) => {
        process.umask(0o077);
        const result = await restore({ from, db, checksum });
        const done =
          `${result.db}: as it was at revision ${result.revision}, with a new epoch. ` +
          `Start it with \`nearmiss controller --db ${result.db}\`.\n`;
        return format(output, result, () => done);
      }),
    );
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
