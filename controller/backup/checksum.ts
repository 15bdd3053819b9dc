// The checksum beside a backup, in the format of sha256sum(1): the two files alone are enough to verify it.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { StoreOpenError } from "../store/store.ts";

export const checksumFile = (backup: string): string => `${backup}.sha256`;

export function formatChecksum(sum: string, backup: string): string {
  return `${sum}  ${basename(backup)}\n`;
}

/** SHA-256 of a file, in hex. Reads it as a stream: backups may be larger than memory. */
export async function checksumOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** Reads the checksum file beside a backup. @throws StoreOpenError if there is none, or it is not a checksum file */
export function readChecksum(backup: string): string {
  const file = checksumFile(backup);
  if (!existsSync(file)) {
    throw new StoreOpenError(
      `${file} does not exist: copy it too, or add --no-checksum if you know that ${backup} is complete`,
    );
  }
  const sum = /^([0-9a-f]{64}) [ *]/.exec(readFileSync(file, "utf8"))?.[1];
  if (sum === undefined)
    throw new StoreOpenError(`${file} is not a checksum: it must have the format that \`sha256sum\` prints`);
  return sum;
}
