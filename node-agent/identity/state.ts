// The state of an enrolled host: one file that only its owner can read. It is replaced as a whole, so that key and certificate
// always match.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "../../common/durable-file.ts";
import { removeDirectory } from "../../common/record-file.ts";
import { namePattern } from "../../schema/plain/index.ts";
import { Check, type Static, Type } from "../../schema/typebox.ts";

export const defaultStateDirectory = "/var/lib/nearmiss";
const networksDirectory = "networks";

const Identity = Type.Object({
  controller: Type.String(),
  host: Type.String({ pattern: namePattern }),
  /** PKCS #8, PEM. */
  key: Type.String(),
  certificate: Type.String(),
  /** What the controller's certificate is checked with, PEM; empty: a public CA. */
  ca: Type.String(),
  /** SHA-256 of the join token: the same line may be run again. */
  joined: Type.String(),
});
export type HostIdentity = Readonly<Static<typeof Identity>>;

/** A key without its certificate yet: a lost answer can be requested again, with this key only. */
const Attempt = Type.Object({ joined: Type.String(), key: Type.String() });
export type EnrolmentAttempt = Readonly<Static<typeof Attempt>>;

/** A state directory that cannot be used, with the fix. */
export class StateError extends Error {
  override readonly name = "StateError";
}

export class HostState {
  constructor(private readonly directory: string) {}

  /** @throws StateError */
  findIdentity(): HostIdentity | undefined {
    return this.read("identity.json", (value): value is HostIdentity => Check(Identity, value));
  }

  /** @throws StateError */
  findAttempt(): EnrolmentAttempt | undefined {
    return this.read("enrolling.json", (value): value is EnrolmentAttempt => Check(Attempt, value));
  }

  /** Directory for a host's networks (session/stored-state.ts). */
  networksOf(host: string): string {
    return join(this.directory, networksDirectory, host);
  }

  /** @param host absent: those of all identities that were here. @throws StateError */
  async forgetNetworks(host = ""): Promise<void> {
    const path = this.networksOf(host);
    try {
      await removeDirectory(path);
    } catch (error) {
      throw new StateError(`cannot remove ${path}: ${reasonOf(error)}`);
    }
  }

  /** On disk when this returns. @throws StateError */
  putIdentity(identity: HostIdentity): void {
    this.write("identity.json", identity);
  }

  /** It led to an identity. */
  dropAttempt(): void {
    rmSync(join(this.directory, "enrolling.json"), { force: true });
  }

  /** A host that enrols; one that has enrolled goes on in the directory that it has. @throws StateError */
  putAttempt(attempt: EnrolmentAttempt): void {
    this.refuseForeignDirectory();
    this.write("enrolling.json", attempt);
  }

  private read<T>(name: string, is: (value: unknown) => value is T): T | undefined {
    const path = join(this.directory, name);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw new StateError(`cannot read ${path}: ${reasonOf(error)}`);
    }
    const value = parse(text);
    if (is(value)) return value;
    throw new StateError(`${path} is damaged: move it away, and enrol again with \`nearmiss host add\``);
  }

  /** The owner of a directory can put other files in place of those in it. */
  private refuseForeignDirectory(): void {
    const { uid = 0 } = statSync(this.directory, { throwIfNoEntry: false }) ?? {};
    if (uid === 0 || uid === process.geteuid?.()) return;
    throw new StateError(
      `${this.directory} belongs to another user, and would contain this host's private key: no key was made. Name another ` +
        "--state-dir",
    );
  }

  private write(name: string, value: object): void {
    const path = join(this.directory, name);
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      writeDurably(path, `${JSON.stringify(value, null, 2)}\n`);
    } catch (error) {
      throw new StateError(`cannot write ${path}: ${reasonOf(error)}; name a directory with --state-dir`);
    }
  }
}

/** Identifies a used token without storing it. */
export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
