// Creates tokens, and parses requests for them. Nothing is stored here: see `token-registry.ts` and the store.
import { hash, randomBytes } from "node:crypto";
import { dayMs } from "../../common/duration.ts";
import { type Actor, defaultTokenDays, findTimeMs, type TokenInput, type TokenView } from "../../schema/rest/index.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { StoredToken, TokenRemoval } from "../store/access-store.ts";
import type { Identity } from "./identity.ts";

const secretBytes = 32;

/** A token, and the secret that is shown once: `nm_<role>_` and 256 random bits in base64url. @throws Refusal */
export function makeToken(input: TokenInput, by: Actor, now: Date): { token: StoredToken; secret: string } {
  const { role, networks, hosts, quota, note = "" } = input;
  if (role === "admin" && networks) {
    throw new Refusal(
      "invalid-input",
      "an admin cannot be limited to networks: create an operator, or leave networks out",
    );
  }
  if ((hosts || quota) && (role !== "operator" || !networks)) {
    const what = hosts ? "hosts" : "quota";
    throw new Refusal("invalid-input", `${what}: only an operator with networks has ${hosts ? "them" : "one"}`);
  }
  const secret = `nm_${role}_${randomBytes(secretBytes).toString("base64url")}`;
  const token: StoredToken = {
    id: randomBytes(4).toString("hex"),
    hash: hashOf(secret),
    role,
    networks: networks ? [...new Set(networks)].sort() : null,
    hosts: hosts ? [...new Set(hosts)].sort() : null,
    quota: quota ?? null,
    note,
    created: now.toISOString(),
    createdBy: by.name,
    expires: readExpiry(input.expires, now),
    lastUsed: null,
  };
  return { token, secret };
}

export function hashOf(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}

export function viewOf({ hash: _hash, networks, hosts, ...token }: StoredToken): TokenView {
  return { ...token, networks: networks && [...networks], hosts: hosts && [...hosts] };
}

export function identityBehind({ id, role, note, networks, hosts, quota, expires }: StoredToken): Identity {
  const life = expires === null ? {} : { expires };
  if (role === "admin") return { kind: "admin", tokenId: id, note, ...life };
  const bounds = { ...(hosts ? { hosts: new Set(hosts) } : {}), ...(quota ? { quota } : {}) };
  return { kind: role, tokenId: id, note, ...life, networks: networks ? new Set(networks) : "all", ...bounds };
}

/** Infinity: never. */
export function expiresMsOf({ expires }: Pick<StoredToken, "expires">): number {
  return expires === null ? Number.POSITIVE_INFINITY : Date.parse(expires);
}

function readExpiry(text: string | null | undefined, now: Date): string | null {
  if (text === null) return null;
  if (text === undefined) return new Date(now.getTime() + defaultTokenDays * dayMs).toISOString();
  const ms = findTimeMs(text);
  if (ms === undefined) {
    throw new Refusal("invalid-input", 'expires: write a time such as "2027-01-31T12:00:00Z", or null');
  }
  if (ms <= now.getTime()) throw new Refusal("invalid-input", `expires: ${new Date(ms).toISOString()} has passed`);
  return new Date(ms).toISOString();
}

/** @throws Refusal */
export function refuseUnlessRemoved(id: string, removal: TokenRemoval): void {
  if (removal === "unknown") throw new Refusal("not-found", `no token has the id "${id}"`);
  if (removal === "last-admin") {
    throw new Refusal(
      "in-use",
      `token ${id} is the last admin token: make another first, or force it; then only a command on the controller's ` +
        "machine makes a new one (`nearmiss token create --role admin --db FILE`)",
    );
  }
}
