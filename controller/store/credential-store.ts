// Data of a store about hosts' certificates: join tokens, and the last certificate of each host.
import type { Actor } from "../../schema/rest/index.ts";

export interface StoredJoinToken {
  /** SHA-256 of the token. */
  readonly hash: Buffer;
  readonly host: string;
  /** null: the host was not registered when the token was made. */
  readonly hostUid: string | null;
  /** RFC 3339, UTC, as all times here. */
  readonly expires: string;
  /** Hash of the key that it was used for; null: unused. */
  readonly key: string | null;
}

export interface HostCredential {
  readonly hostUid: string;
  readonly host: string;
  /** Counts revocations. */
  readonly generation: number;
  /** The last certificate that was issued; null: revoked, and none since. */
  readonly issued: { readonly key: string; readonly issuer: string; readonly expires: string } | null;
}

/** Every promise that resolves means durable. @throws StoreUnavailableError, StoreFullError, StoreBrokenError */
export interface CredentialStore {
  listCredentials(): Promise<HostCredential[]>;
  /** Deletes tokens that expired before `time`, and unused tokens of the host: only one is valid at a time. */
  addJoinToken(token: StoredJoinToken, by: Actor, time: string): Promise<void>;
  findJoinToken(hash: Buffer): Promise<StoredJoinToken | undefined>;
  /** Marks the token as used for the key. @returns false where another key was first */
  useJoinToken(hash: Buffer, key: string): Promise<boolean>;
  putCredential(credential: HostCredential, by: Actor, what: string, time: string): Promise<void>;
  /** With the host's join tokens. */
  revoke(credential: HostCredential, by: Actor, time: string): Promise<void>;
  /** Hosts that were deleted. */
  forgetHosts(uids: readonly string[]): Promise<void>;
  /** Adds to the audit trail a change that is stored elsewhere: in the CA's files. */
  record(by: Actor, what: string, time: string): Promise<void>;
}
