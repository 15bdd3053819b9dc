// The tokens of a running controller: valid ones in memory, and the sockets that were opened with them. What a command on
// the same machine writes into the database is noticed at the next look.
import { timingSafeEqual } from "node:crypto";
import { every, type Repetition } from "../../common/every.ts";
import type { Actor, TokenInput, TokenView } from "../../schema/rest/index.ts";
import type { AccessStore, StoredToken } from "../store/access-store.ts";
import { StoreFullError, StoreUnavailableError } from "../store/store.ts";
import type { Identity } from "./identity.ts";
import { expiresMsOf, hashOf, identityBehind, makeToken, refuseUnlessRemoved, viewOf } from "./tokens.ts";

/** Something open that ends with the token that opened it. */
export interface Revocable {
  end(reason: string): void;
}

/** Revocation from outside takes effect within a second: half of it to notice. */
const lookMs = 500;
/** Interval at which uses of tokens are stored. */
const flushMs = 60_000;

/** A stored token, and what every request with it needs. */
interface KnownToken extends StoredToken {
  readonly identity: Identity;
  /** Infinity: never. */
  readonly expiresMs: number;
}

export interface TokenRegistryDeps {
  readonly access: AccessStore;
  readonly now: () => Date;
  /** The store failed for good. */
  readonly onFatal: (error: unknown) => void;
}

export class TokenRegistry {
  private byHash = new Map<string, KnownToken>();
  private readonly open = new Map<string, Set<Revocable>>();
  private readonly uses = new Map<string, Date>();
  /** Refused, although the store has not removed them yet. */
  private readonly revoking = new Set<string>();
  private version: number;
  private timers: readonly Repetition[] = [];

  private constructor(private readonly deps: TokenRegistryDeps) {
    this.version = deps.access.foreignVersion();
  }

  static async load(deps: TokenRegistryDeps): Promise<TokenRegistry> {
    const registry = new TokenRegistry(deps);
    await registry.reload();
    // Two timers: a flush waits for what the store is writing, which may be an import, and revocations must not.
    registry.timers = [
      every(lookMs, () => registry.look()),
      every(flushMs, () => registry.tolerate(() => registry.flush())),
    ];
    return registry;
  }

  /** Whose the token is, where it is valid now. */
  find(secret: string): Identity | undefined {
    const hash = hashOf(secret);
    const token = this.byHash.get(hash.toString("hex"));
    const now = this.deps.now();
    // The map is keyed by a hash, whose timing reveals nothing of the secret; the comparison below decides.
    if (!token || !timingSafeEqual(hash, token.hash) || !this.isValid(token, now)) return undefined;
    this.uses.set(token.id, now);
    return token.identity;
  }

  /** When the token has expired, for who knows its secret; undefined where it is not known, or still valid. */
  expiredAt(secret: string): string | undefined {
    const token = this.byHash.get(hashOf(secret).toString("hex"));
    return token && this.deps.now().getTime() >= token.expiresMs ? (token.expires ?? undefined) : undefined;
  }

  list(): TokenView[] {
    return [...this.byHash.values()].map(({ identity: _, expiresMs: __, ...token }) => {
      const lastUsed = this.uses.get(token.id)?.toISOString() ?? token.lastUsed;
      return viewOf({ ...token, lastUsed });
    });
  }

  /** The answer alone carries the secret. @throws Refusal */
  async create(input: TokenInput, by: Actor): Promise<TokenView> {
    const { token, secret } = makeToken(input, by, this.deps.now());
    await this.deps.access.addToken(token, by);
    await this.reload();
    return { ...viewOf(token), token: secret };
  }

  /**
   * The token is refused at once: an import that is being written keeps the store busy for seconds.
   * @param force also the last admin token @throws Refusal, and what the store throws: then the token is valid again
   */
  async revoke(id: string, by: Actor, force: boolean): Promise<void> {
    if (force || !this.isLastAdmin(id)) {
      this.revoking.add(id);
      this.endRevoked();
    }
    try {
      const removal = await this.deps.access.removeToken(id, by, this.deps.now().toISOString(), !force);
      await this.reload();
      refuseUnlessRemoved(id, removal);
    } finally {
      this.revoking.delete(id);
    }
  }

  /** Number of open streams and connections of the token. */
  openWith(identity: Identity): number {
    return "tokenId" in identity ? (this.open.get(identity.tokenId)?.size ?? 0) : 0;
  }

  /** Ends `revocable` when the token of `identity` is revoked or expires. @returns a callback for when it ended by itself */
  hold(identity: Identity, revocable: Revocable): () => void {
    if (!("tokenId" in identity)) return () => {};
    const { tokenId } = identity;
    const held = this.open.get(tokenId) ?? new Set();
    this.open.set(tokenId, held.add(revocable));
    return () => {
      held.delete(revocable);
      if (held.size === 0 && this.open.get(tokenId) === held) this.open.delete(tokenId);
    };
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) timer.stop();
    await Promise.all(this.timers.map(({ idle }) => idle));
    await this.tolerate(() => this.flush());
  }

  private look(): Promise<void> {
    return this.tolerate(async () => {
      const { access } = this.deps;
      const version = access.foreignVersion();
      if (version !== this.version) {
        await this.reload();
        this.version = version;
      }
      this.endRevoked();
    });
  }

  private async reload(): Promise<void> {
    this.byHash = await this.read();
    this.endRevoked();
  }

  private async read(): Promise<Map<string, KnownToken>> {
    const tokens = await this.deps.access.listTokens();
    return new Map(
      tokens.map((token) => {
        const known = { ...token, identity: identityBehind(token), expiresMs: expiresMsOf(token) };
        return [token.hash.toString("hex"), known];
      }),
    );
  }

  private endRevoked(): void {
    const now = this.deps.now();
    const valid = new Set([...this.byHash.values()].filter((token) => this.isValid(token, now)).map(({ id }) => id));
    for (const [id, held] of this.open) {
      if (valid.has(id)) continue;
      this.open.delete(id);
      for (const each of held) each.end("the token was revoked or has expired");
    }
  }

  private isValid({ id, expiresMs }: KnownToken, now: Date): boolean {
    return now.getTime() < expiresMs && !this.revoking.has(id);
  }

  private isLastAdmin(id: string): boolean {
    const now = this.deps.now();
    const admins = [...this.byHash.values()].filter((token) => token.role === "admin" && this.isValid(token, now));
    return admins.length === 1 && admins[0]?.id === id;
  }

  private async flush(): Promise<void> {
    if (this.uses.size === 0) return;
    const uses = [...this.uses].map(([id, at]): [string, string] => [id, at.toISOString()]);
    await this.deps.access.noteUses(new Map(uses));
    this.byHash = await this.read();
    this.uses.clear();
  }

  /** If the store is busy or full now, this is repeated later. */
  private async tolerate(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof StoreUnavailableError || error instanceof StoreFullError)) this.deps.onFatal(error);
    }
  }
}
