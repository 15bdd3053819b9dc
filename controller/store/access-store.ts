// Data of a store beside the inventory: tokens and the audit trail.
import type { Actor, AuditView, Quota, TokenRole } from "../../schema/rest/index.ts";

export interface StoredToken {
  readonly id: string;
  /** SHA-256 of the token. */
  readonly hash: Buffer;
  readonly role: TokenRole;
  /** null: all. */
  readonly networks: readonly string[] | null;
  /** null: places VMs on any. */
  readonly hosts: readonly string[] | null;
  /** null: none. */
  readonly quota: Quota | null;
  readonly note: string;
  /** RFC 3339, UTC, as all times here. */
  readonly created: string;
  readonly createdBy: string;
  /** null: never. */
  readonly expires: string | null;
  readonly lastUsed: string | null;
}

export type TokenRemoval = "removed" | "unknown" | "last-admin";

/** An audit entry, written together with its change. */
export interface AuditRecord {
  readonly time: string;
  readonly by: Pick<Actor, "name" | "role" | "address">;
  readonly what: readonly string[];
  /** Where `what` names only the first of them. */
  readonly changes?: number;
  readonly revision?: number;
}

/** Every promise that resolves means durable. @throws StoreUnavailableError, StoreFullError, StoreBrokenError */
export interface AccessStore {
  listTokens(): Promise<StoredToken[]>;
  addToken(token: StoredToken, by: Actor): Promise<void>;
  /** Once in the life of the store. @returns true the first time */
  addFirstToken(token: StoredToken, by: Actor): Promise<boolean>;
  hasHadFirstToken(): Promise<boolean>;
  /** `spareLast`: not where no other admin token would be valid at `time`. */
  removeToken(id: string, by: Actor, time: string, spareLast: boolean): Promise<TokenRemoval>;
  /** By id, when each was last used. */
  noteUses(uses: ReadonlyMap<string, string>): Promise<void>;
  /** Changes when another process, such as a command on this machine, may have written. */
  foreignVersion(): number;
  /** In order of id: those behind `after`, and not before `since`. */
  readAudit(query: { readonly after: number; readonly since: string; readonly limit: number }): Promise<AuditView[]>;
  /** Forgets entries before `before` and the oldest beyond `maxEntries`, `limit` at most. @returns whether there may be more */
  trimAudit(bounds: { readonly before: string; readonly maxEntries: number }, limit: number): Promise<boolean>;
}
