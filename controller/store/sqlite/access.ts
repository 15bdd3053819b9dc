// Tokens in SQLite, each change with its row in the audit trail. A controller has this beside its inventory; a command on
// the same machine opens it alone, while the controller runs or not.
import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import type { Actor, AuditView, TokenRole } from "../../../schema/rest/index.ts";
import type { AccessStore, StoredToken, TokenRemoval } from "../access-store.ts";
import { StoreOpenError } from "../store.ts";
import { AuditTrail } from "./audit.ts";
import { refuseForeign, refuseNoFile } from "./foreign.ts";
import { newestOf, readMigrations } from "./migrations.ts";
import { Transactions, type WhileIdle } from "./transactions.ts";

/** A command can wait for the controller's transaction to end. */
const commandBusyTimeoutMs = 5_000;

interface TokenRow {
  readonly id: string;
  readonly hash: Buffer;
  readonly role: TokenRole;
  readonly networks: string | null;
  readonly hosts: string | null;
  readonly quota: string | null;
  readonly note: string;
  readonly created: string;
  readonly created_by: string;
  readonly expires: string | null;
  readonly last_used: string | null;
}

export class SqliteAccess implements AccessStore {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly audit: AuditTrail;
  private readonly database: Transactions;

  constructor(
    private readonly db: Database.Database,
    path: string,
    whileIdle: WhileIdle,
  ) {
    this.database = new Transactions(db, path, whileIdle);
    this.statements = prepare(db);
    this.audit = new AuditTrail(db);
  }

  async listTokens(): Promise<StoredToken[]> {
    return this.database.read(() => (this.statements.tokens.all() as TokenRow[]).map(fromTokenRow));
  }

  async addToken(token: StoredToken, by: Actor): Promise<void> {
    await this.database.write(() => this.insert(token, by));
  }

  async addFirstToken(token: StoredToken, by: Actor): Promise<boolean> {
    return this.database.write(() => {
      if (this.statements.claimFirst.run(token.id).changes === 0) return false;
      this.insert(token, by);
      return true;
    });
  }

  async hasHadFirstToken(): Promise<boolean> {
    return this.database.read(() => this.statements.first.get() !== undefined);
  }

  async removeToken(id: string, by: Actor, time: string, spareLast: boolean): Promise<TokenRemoval> {
    return this.database.write(() => {
      if (spareLast && this.statements.lastAdmin.get({ id, time }) !== undefined) return "last-admin";
      if (this.statements.remove.run(id).changes === 0) return "unknown";
      this.audit.add({ time, by, what: [`token.revoked tokens/${id}`] });
      return "removed";
    });
  }

  async noteUses(uses: ReadonlyMap<string, string>): Promise<void> {
    await this.database.write(() => {
      for (const [id, time] of uses) this.statements.used.run(time, id);
    });
  }

  foreignVersion(): number {
    return this.database.read(() => this.db.pragma("data_version", { simple: true }) as number);
  }

  async readAudit(query: { after: number; since: string; limit: number }): Promise<AuditView[]> {
    return this.database.read(() => this.audit.read(query));
  }

  async trimAudit(bounds: { before: string; maxEntries: number }, limit: number): Promise<boolean> {
    return this.database.write(() => this.audit.trim({ ...bounds, limit }) === limit);
  }

  private insert(token: StoredToken, by: Actor): void {
    const { networks, hosts, quota } = token;
    const written = (value: object | null) => value && JSON.stringify(value);
    this.statements.add.run({
      ...token,
      networks: written(networks),
      hosts: written(hosts),
      quota: written(quota),
    });
    const reach = [
      networks ? ` for ${networks.join(", ")}` : "",
      hosts ? ` on ${hosts.join(", ")}` : "",
      quota ? ` with quota ${JSON.stringify(quota)}` : "",
    ].join("");
    this.audit.add({ time: token.created, by, what: [`token.created tokens/${token.id} (${token.role}${reach})`] });
  }
}

/**
 * For a command on the controller's machine. Takes no lock (ADR 0012): the controller notices its writes.
 * @throws StoreOpenError with what to do about it
 */
export function openAccess(path: string): { readonly access: AccessStore; readonly close: () => void } {
  if (!existsSync(path)) {
    throw new StoreOpenError(
      `${path} does not exist: name the database of the controller, which its first start creates`,
    );
  }
  refuseNoFile(path);
  refuseForeign(path);
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true, timeout: commandBusyTimeoutMs });
    const known = newestOf(readMigrations());
    const version = db.pragma("user_version", { simple: true });
    if (version !== known) {
      throw new StoreOpenError(
        `${path} has schema ${version}, this build works with ${known}: run the version of the controller that uses it`,
      );
    }
    db.pragma("synchronous = FULL");
    return { access: new SqliteAccess(db, path, async (task) => task()), close: () => db?.close() };
  } catch (error) {
    db?.close();
    if (error instanceof StoreOpenError) throw error;
    throw new StoreOpenError(`cannot open ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

function fromTokenRow({ created_by, last_used, networks, hosts, quota, ...row }: TokenRow): StoredToken {
  const read = (text: string | null) => text && JSON.parse(text);
  const bounds = { networks: read(networks), hosts: read(hosts), quota: read(quota) };
  return { ...row, ...bounds, createdBy: created_by, lastUsed: last_used };
}

function prepare(db: Database.Database) {
  return {
    tokens: db.prepare("SELECT * FROM tokens ORDER BY created, id"),
    add: db.prepare(
      "INSERT INTO tokens (id, hash, role, networks, hosts, quota, note, created, created_by, expires, last_used) " +
        "VALUES ($id, $hash, $role, $networks, $hosts, $quota, $note, $created, $createdBy, $expires, $lastUsed)",
    ),
    remove: db.prepare("DELETE FROM tokens WHERE id = ?"),
    // The token is a valid admin's, and there is no other one.
    lastAdmin: db.prepare(
      "WITH admins AS (SELECT id FROM tokens WHERE role = 'admin' AND (expires IS NULL OR expires > $time)) " +
        "SELECT 1 FROM admins WHERE id = $id AND (SELECT count(*) FROM admins) = 1",
    ),
    used: db.prepare("UPDATE tokens SET last_used = ? WHERE id = ?"),
    claimFirst: db.prepare("INSERT INTO meta (name, value) VALUES ('first_token', ?) ON CONFLICT DO NOTHING"),
    first: db.prepare("SELECT 1 FROM meta WHERE name = 'first_token'"),
  };
}
