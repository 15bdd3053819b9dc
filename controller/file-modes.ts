// Files with secrets, and directories that lead to them, must belong to their owner alone and must not be planted by
// another user. Checked at each start, because a manual copy or restore easily loses the modes.
import { lstatSync, statSync } from "node:fs";
import { StoreOpenError } from "./store/store.ts";

const groupAndOthers = 0o077;

/**
 * Files that are not there are not checked.
 * @param beforeAdvice throws for files of another program, whose modes are none of ours
 * @throws StoreOpenError naming the command that corrects it
 */
export function checkModes(files: readonly string[], beforeAdvice: () => void): void {
  const open = files.filter((file) => ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & groupAndOthers) !== 0);
  if (open.length === 0) return;
  beforeAdvice();
  const names = open.map((file) => `'${file.replaceAll("'", "'\\''")}'`).join(" ");
  throw new StoreOpenError(
    `users other than the owner may read or write ${open.join(", ")}, which contains secrets: run \`chmod go= ${names}\`, and consider ` +
      "who may have read it",
  );
}

/**
 * A link of root's or of this user's is an operator's, for example to another disk. If there is no database yet, files
 * and directories of another user beside it are refused too: the controller would store its secrets in them.
 * @throws StoreOpenError for another user's
 */
export function refusePlanted(db: string, files: readonly string[]): void {
  const isFirstStart = lstatSync(db, { throwIfNoEntry: false }) === undefined;
  const planted = [db, ...files].find((file) => {
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (!found || found.uid === 0 || found.uid === process.geteuid?.()) return false;
    return isFirstStart || found.isSymbolicLink();
  });
  if (planted === undefined) return;
  throw new StoreOpenError(
    `${planted} was made by another user: nothing was read or written. Name a --db in a directory that only the controller's ` +
      "user may write to",
  );
}
