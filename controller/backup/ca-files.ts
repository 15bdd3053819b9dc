// The controller's CA in a backup: the files of its directory, in a table of the copy. As they are, or encrypted in age's format
// (age-encryption.org/v1), so that only who has the identity or the passphrase can act as the controller.
import type { Database } from "better-sqlite3";
import { StoreOpenError } from "../store/store.ts";

/** Text by name of the file. */
export type CaFiles = ReadonlyMap<string, string>;

/** Where CAs are kept: what pki/ knows of it. */
export interface CaDirectory {
  readonly directory: string;
  /** Empty where there is no CA. @throws Error where files are missing */
  readonly read: () => CaFiles;
  /** Whether they are files of a CA, and all of them. */
  readonly isWhole: (files: CaFiles) => boolean;
}

/** For whom CA keys in a backup are encrypted; without recipients and passphrase they are in plain text. */
export interface Protection {
  /** Of age: `age1…`. */
  readonly recipients: readonly string[];
  readonly passphrase?: string | undefined;
}

/** What opens encrypted CA keys. */
export interface Opening {
  /** Of age: `AGE-SECRET-KEY-1…`. */
  readonly identities: readonly string[];
  readonly passphrase?: string | undefined;
}

type Form = "plain" | "age";

/** @throws StoreOpenError for a recipient that is not one */
export async function putCaFiles(db: Database, files: CaFiles, protection: Protection): Promise<void> {
  const text = JSON.stringify(Object.fromEntries(files));
  const form: Form = protection.recipients.length > 0 || protection.passphrase !== undefined ? "age" : "plain";
  const content = form === "age" ? await encrypt(text, protection) : Buffer.from(text);
  db.exec("CREATE TABLE backup_ca (form TEXT NOT NULL, content BLOB NOT NULL) STRICT");
  db.prepare("INSERT INTO backup_ca VALUES (?, ?)").run(form, content);
}

/** Whether the backup has CA files, and in which form. */
export function findCaForm(db: Database): Form | undefined {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'backup_ca'").get();
  return table ? (db.prepare("SELECT form FROM backup_ca").pluck().get() as Form | undefined) : undefined;
}

/**
 * @param from the backup, for messages
 * @throws StoreOpenError if they are encrypted and do not open, or are not files of a CA
 */
export async function getCaFiles(
  db: Database,
  form: Form,
  { from, ca, opening }: { readonly from: string; readonly ca: CaDirectory; readonly opening: Opening },
): Promise<CaFiles> {
  const content = db.prepare("SELECT content FROM backup_ca").pluck().get() as Buffer;
  const text = form === "age" ? await decrypt(content, from, opening) : content.toString();
  const files = new Map(Object.entries(parse(text)).map(([name, text]) => [name, String(text)]));
  if (files.size === 0 || !ca.isWhole(files))
    throw new StoreOpenError(`the CA in ${from} is not complete: use another backup, or add --without-ca`);
  return files;
}

function parse(text: string): object {
  try {
    const files: unknown = JSON.parse(text);
    return typeof files === "object" && files !== null ? files : {};
  } catch {
    return {};
  }
}

/** Takes the table out of a restored database, with its bytes. */
export function dropCaFiles(db: Database): void {
  db.pragma("secure_delete = ON");
  db.exec("DROP TABLE IF EXISTS backup_ca");
}

async function encrypt(text: string, { recipients, passphrase }: Protection): Promise<Uint8Array> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  if (passphrase !== undefined) encrypter.setPassphrase(passphrase);
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch {
      throw new StoreOpenError(
        `"${recipient}" is not a recipient of age: it begins with \`age1\`, and \`age-keygen -y\` prints it`,
      );
    }
  }
  return encrypter.encrypt(text);
}

async function decrypt(content: Buffer, from: string, { identities, passphrase }: Opening): Promise<string> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  if (identities.length === 0 && passphrase === undefined) {
    throw new StoreOpenError(
      `the CA in ${from} is encrypted: name the key with --identity or --passphrase-file, or add --without-ca to restore the ` +
        "database alone",
    );
  }
  if (passphrase !== undefined) decrypter.addPassphrase(passphrase);
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity);
    } catch {
      throw new StoreOpenError("a line of --identity is not a key of age: each begins with `AGE-SECRET-KEY-1`");
    }
  }
  try {
    return await decrypter.decrypt(content, "text");
  } catch (error) {
    throw new StoreOpenError(`the CA in ${from} cannot be decrypted with this key: it is of another one, or damaged`, {
      cause: error,
    });
  }
}
