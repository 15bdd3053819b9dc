// What holds secrets, or leads to some, must be its owner's alone: checked at each start, since a copy or a restore by
// hand easily loses it.
import { statSync } from "node:fs";
import { StoreOpenError } from "./store/store.ts";

const groupAndOthers = 0o077;

/** Files that are not there are none's to read. @throws StoreOpenError naming the command that mends it */
export function checkModes(files: readonly string[]): void {
  const open = files.filter((file) => ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & groupAndOthers) !== 0);
  if (open.length === 0) return;
  const names = open.map((file) => `'${file.replaceAll("'", "'\\''")}'`).join(" ");
  throw new StoreOpenError(
    `others than the owner may read or write ${open.join(", ")}, with secrets in it: run \`chmod go= ${names}\`, and think ` +
      "of who may have read it",
  );
}
