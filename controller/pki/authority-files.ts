// The files of the controller's certificate authorities, as authorities.ts writes them while it runs and backups copy them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Beside the database: CA keys that only their owner can read. */
export function pkiDirectory(db: string): string {
  return `${db}.pki`;
}

/** Has the id of the CA that issues. */
export const issuingFile = "issuing";
/** All certificates, for clients. */
export const bundleFile = "ca.pem";
const pairFile = /^([0-9a-f]{8})\.(crt|key)$/;

/** Texts by name of the file. */
export type AuthorityFiles = ReadonlyMap<string, string>;

/** CAs are added and removed while the directory is read. */
const maxReadings = 10;

/** Of the CAs whose certificates are in the directory, which need not exist. */
export function authorityIds(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((file) => (file.endsWith(".crt") ? (pairFile.exec(file)?.[1] ?? []) : []));
}

/**
 * All of one moment; empty where there is no CA.
 * @throws Error where files are missing, and what reading throws
 */
export function readAuthorityFiles(directory: string): AuthorityFiles {
  for (let n = 1; ; n++) {
    const files = tryToRead(directory);
    if (files && isWhole(files)) return files;
    if (n < maxReadings) continue;
    throw new Error(`the CA in ${directory} is not complete: a key, a certificate or \`${issuingFile}\` is missing`);
  }
}

/** Whether they are files of CAs, each certificate with its key, one of which issues. No files are whole too. */
export function isWhole(files: AuthorityFiles): boolean {
  const names = [...files.keys()];
  if (names.length === 0) return true;
  if (names.some((name) => name !== issuingFile && name !== bundleFile && !pairFile.test(name))) return false;
  const ids = names.flatMap((name) => (name.endsWith(".crt") ? (pairFile.exec(name)?.[1] ?? []) : []));
  return ids.every((id) => files.has(`${id}.key`)) && ids.includes(files.get(issuingFile)?.trim() ?? "");
}

/** Undefined where a file is removed during the reading. */
function tryToRead(directory: string): AuthorityFiles | undefined {
  const ids = authorityIds(directory);
  if (ids.length === 0) return new Map();
  const names = [...ids.flatMap((id) => [`${id}.crt`, `${id}.key`]), issuingFile, bundleFile];
  try {
    return new Map(names.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
