// The controller's own certificate authorities, as files that only its user can read. One of them issues; during a
// rotation others are still, or already, trusted.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "../../common/durable-file.ts";
import { dayMs } from "../../common/duration.ts";
import { Refusal } from "../inventory/refusal.ts";
import { authorityIds, bundleFile, issuingFile } from "./authority-files.ts";
import { type Issuer, makeCa, validityFrom } from "./x509.ts";

export interface Authority extends Issuer {
  readonly id: string;
}

/** Files that cannot be used, with what to do about it. */
export class PkiError extends Error {
  override readonly name = "PkiError";
}

const caLifetimeMs = 10 * 365 * dayMs;

export class Authorities {
  private readonly listeners = new Set<() => void>();

  private constructor(
    private readonly directory: string,
    private readonly byId: Map<string, Authority>,
    private issuingId: string,
    private readonly now: () => Date,
  ) {}

  /**
   * Creates the directory and the first CA if there are none.
   * @param mayMake throws where there must be one. @throws PkiError
   */
  static async open(directory: string, now: () => Date, mayMake: () => void = () => {}): Promise<Authorities> {
    try {
      if (authorityIds(directory).length === 0) mayMake();
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const ids = authorityIds(directory);
      const byId = new Map(ids.map((id) => [id, readAuthority(directory, id)]));
      if (byId.size === 0) {
        const first = await makeAuthority(directory, now());
        byId.set(first.id, first);
        writeDurably(join(directory, issuingFile), first.id);
      }
      const issuing = readFileSync(join(directory, issuingFile), "utf8").trim();
      if (!byId.has(issuing)) throw new Error(`"${issuing}" issues, and is none of ${[...byId.keys()].join(", ")}`);
      const authorities = new Authorities(directory, byId, issuing, now);
      authorities.writeBundle();
      return authorities;
    } catch (error) {
      if (error instanceof PkiError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new PkiError(`cannot use the CA in ${directory}: ${reason}; restore it from a backup`, { cause: error });
    }
  }

  /** Signs new certificates. */
  get issuing(): Authority {
    return this.get(this.issuingId);
  }

  /** The issuing one first. */
  list(): Authority[] {
    return [...this.byId.values()].sort((a, b) => rank(a, this.issuingId) - rank(b, this.issuingId));
  }

  /** Called after each change, with everything on disk. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  /**
   * Whether one of them, itself still valid, has signed the certificate. The certificate's own dates are not checked.
   */
  haveIssued(certificate: X509Certificate): boolean {
    return this.list().some(
      (ca) =>
        certificate.checkIssued(ca.certificate) &&
        certificate.verify(ca.certificate.publicKey) &&
        Date.parse(ca.certificate.validTo) > this.now().getTime(),
    );
  }

  /** @param subject of a CA */
  isTrusted(subject: string): boolean {
    return [...this.byId.values()].some(({ certificate }) => certificate.subject === subject);
  }

  /** Another CA, trusted from now on, which does not issue yet. */
  async add(): Promise<Authority> {
    const added = await makeAuthority(this.directory, this.now());
    this.byId.set(added.id, added);
    this.changed();
    return added;
  }

  /** @throws Refusal for an unknown id */
  issueFrom(id: string): Authority {
    const authority = this.get(id);
    if (id === this.issuingId) return authority;
    writeDurably(join(this.directory, issuingFile), id);
    this.issuingId = id;
    this.changed();
    return authority;
  }

  /** From now on nothing that it has signed is accepted. @throws Refusal for an unknown id and for the issuing one */
  remove(id: string): void {
    this.get(id);
    if (id === this.issuingId) throw new Refusal("in-use", `CA ${id} issues certificates: let another CA issue first`);
    // The certificate first: without it the key is nothing.
    unlinkSync(join(this.directory, `${id}.crt`));
    unlinkSync(join(this.directory, `${id}.key`));
    this.byId.delete(id);
    this.changed();
  }

  private get(id: string): Authority {
    const authority = this.byId.get(id);
    if (!authority) throw new Refusal("not-found", `no CA has the id "${id}"`);
    return authority;
  }

  /** For operators: the CA certificates to verify the controller with. */
  private writeBundle(): void {
    const all = this.list().map(({ certificate }) => certificate.toString());
    writeDurably(join(this.directory, bundleFile), all.join(""));
  }

  private changed(): void {
    this.writeBundle();
    for (const listener of this.listeners) listener();
  }
}

function rank(authority: Authority, issuingId: string): number {
  return authority.id === issuingId ? 0 : 1;
}

function readAuthority(directory: string, id: string): Authority {
  const certificate = new X509Certificate(readFileSync(join(directory, `${id}.crt`)));
  const key = createPrivateKey(readFileSync(join(directory, `${id}.key`)));
  if (!certificate.checkPrivateKey(key)) throw new Error(`${id}.key is not the key of ${id}.crt`);
  return { id, certificate, key };
}

async function makeAuthority(directory: string, now: Date): Promise<Authority> {
  const id = randomBytes(4).toString("hex");
  const { certificate, key } = await makeCa(`nearmiss CA ${id}`, validityFrom(now, caLifetimeMs));
  // The key first: a certificate without it would count as a CA.
  writeDurably(join(directory, `${id}.key`), key);
  writeDurably(join(directory, `${id}.crt`), certificate);
  return readAuthority(directory, id);
}
