// Join tokens and hosts' certificates in SQLite, each change with its row in the audit trail.
import type { Database } from "better-sqlite3";
import type { Actor } from "../../../schema/rest/index.ts";
import type { CredentialStore, HostCredential, StoredJoinToken } from "../credential-store.ts";
import { AuditTrail } from "./audit.ts";
import { Transactions, type WhileIdle } from "./transactions.ts";

interface TokenRow {
  readonly hash: Buffer;
  readonly host: string;
  readonly host_uid: string | null;
  readonly expires: string;
  readonly key: string | null;
}

interface CredentialRow {
  readonly host_uid: string;
  readonly host: string;
  readonly generation: number;
  readonly key: string | null;
  readonly issuer: string | null;
  readonly expires: string | null;
}

export class SqliteCredentials implements CredentialStore {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly audit: AuditTrail;
  private readonly database: Transactions;

  constructor(db: Database, path: string, whileIdle: WhileIdle) {
    this.database = new Transactions(db, path, whileIdle);
    this.statements = prepare(db);
    this.audit = new AuditTrail(db);
  }

  async listCredentials(): Promise<HostCredential[]> {
    return this.database.read(() => (this.statements.credentials.all() as CredentialRow[]).map(fromCredentialRow));
  }

  async addJoinToken(token: StoredJoinToken, by: Actor, time: string): Promise<void> {
    await this.database.write(() => {
      this.statements.dropTokens.run(token.host, time);
      this.statements.addToken.run(token);
      this.audit.add({ time, by, what: [`join-token.created hosts/${token.host} (until ${token.expires})`] });
    });
  }

  async findJoinToken(hash: Buffer): Promise<StoredJoinToken | undefined> {
    const row = this.database.read(() => this.statements.token.get(hash) as TokenRow | undefined);
    return row && { hash: row.hash, host: row.host, hostUid: row.host_uid, expires: row.expires, key: row.key };
  }

  async useJoinToken(hash: Buffer, key: string): Promise<boolean> {
    return this.database.write(() => this.statements.useToken.run({ hash, key }).changes === 1);
  }

  async putCredential(credential: HostCredential, by: Actor, what: string, time: string): Promise<void> {
    await this.database.write(() => {
      this.put(credential);
      this.audit.add({ time, by, what: [what] });
    });
  }

  async revoke(credential: HostCredential, by: Actor, time: string): Promise<void> {
    await this.database.write(() => {
      this.put(credential);
      this.statements.dropHostTokens.run(credential.host);
      this.audit.add({ time, by, what: [`host.revoked hosts/${credential.host}`] });
    });
  }

  async forgetHosts(uids: readonly string[]): Promise<void> {
    await this.database.write(() => {
      for (const uid of uids) {
        this.statements.dropUidTokens.run(uid);
        this.statements.dropCredential.run(uid);
      }
    });
  }

  async record(by: Actor, what: string, time: string): Promise<void> {
    await this.database.write(() => this.audit.add({ time, by, what: [what] }));
  }

  private put({ hostUid, host, generation, issued }: HostCredential): void {
    const { key, issuer, expires } = issued ?? { key: null, issuer: null, expires: null };
    this.statements.putCredential.run({ hostUid, host, generation, key, issuer, expires });
  }
}

function fromCredentialRow({ host_uid, host, generation, key, issuer, expires }: CredentialRow): HostCredential {
  const issued = key === null || issuer === null || expires === null ? null : { key, issuer, expires };
  return { hostUid: host_uid, host, generation, issued };
}

function prepare(db: Database) {
  return {
    credentials: db.prepare("SELECT * FROM host_credentials"),
    token: db.prepare("SELECT * FROM join_tokens WHERE hash = ?"),
    dropTokens: db.prepare("DELETE FROM join_tokens WHERE (host = ? AND key IS NULL) OR expires < ?"),
    dropHostTokens: db.prepare("DELETE FROM join_tokens WHERE host = ?"),
    dropUidTokens: db.prepare("DELETE FROM join_tokens WHERE host_uid = ?"),
    addToken: db.prepare("INSERT INTO join_tokens VALUES ($hash, $host, $hostUid, $expires, $key)"),
    useToken: db.prepare("UPDATE join_tokens SET key = $key WHERE hash = $hash AND (key IS NULL OR key = $key)"),
    putCredential: db.prepare(
      "INSERT INTO host_credentials VALUES ($hostUid, $host, $generation, $key, $issuer, $expires) " +
        "ON CONFLICT (host_uid) DO UPDATE SET generation = $generation, key = $key, issuer = $issuer, expires = $expires " +
        // A certificate that was being issued when its host was revoked does not undo the revocation.
        "WHERE $generation >= generation",
    ),
    dropCredential: db.prepare("DELETE FROM host_credentials WHERE host_uid = ?"),
  };
}
