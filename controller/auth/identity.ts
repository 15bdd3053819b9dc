// The identity behind a request, from its bearer token or client certificate.
import { defined } from "../../common/defined.ts";
import type { Actor, NetworkScope, Quota } from "../../schema/rest/index.ts";

export type Identity =
  | {
      readonly kind: "admin";
      readonly tokenId: string;
      readonly note: string;
      /** RFC 3339; absent: never. So below. */
      readonly expires?: string;
    }
  | {
      readonly kind: "operator" | "viewer";
      readonly tokenId: string;
      readonly note: string;
      readonly expires?: string;
      readonly networks: NetworkScope;
      /** Where it may place VMs; absent: on any host. */
      readonly hosts?: ReadonlySet<string>;
      readonly quota?: Quota;
    }
  | CertifiedHost
  /** `--insecure`: any client that reaches the port, with all rights. */
  | { readonly kind: "anyone" };

/** A host by its certificate, which TLS has verified. */
export interface CertifiedHost {
  readonly kind: "host";
  readonly name: string;
  readonly uid: string;
  /** Of the certificate: how often the host had been revoked when it was issued. */
  readonly generation: number;
  /** SHA-256 of its public key. */
  readonly key: string;
  /** Subject of the CA that has signed the certificate. */
  readonly issuer: string;
  /** Of the certificate, ms since 1970. */
  readonly expiresMs: number;
}

/** For logs and the audit trail: never the secret. */
export function nameOf(identity: Identity): string {
  switch (identity.kind) {
    case "host":
      return `host ${identity.name}`;
    case "anyone":
      return "anyone";
    default:
      return identity.note === "" ? `token ${identity.tokenId}` : `token ${identity.tokenId} (${identity.note})`;
  }
}

/** End of its token or certificate; null: never, or there is none. */
export function expiryOf(identity: Identity): string | null {
  if (identity.kind === "anyone") return null;
  return identity.kind === "host" ? new Date(identity.expiresMs).toISOString() : (identity.expires ?? null);
}

/** Networks that the identity may change. Hosts cannot change the inventory by requests. */
export function scopeOf(identity: Identity): NetworkScope {
  switch (identity.kind) {
    case "admin":
    case "anyone":
      return "all";
    case "operator":
    case "viewer":
      return identity.networks;
    case "host":
      return new Set();
  }
}

/** Limits on placing VMs: allowed hosts and quota. */
export function placementOf(identity: Identity): Pick<Actor, "hosts" | "quota"> {
  if (identity.kind !== "operator") return {};
  const { hosts, quota } = identity;
  return defined({ hosts, quota });
}

export function actorFor(identity: Identity, address: string): Actor {
  return { name: nameOf(identity), role: identity.kind, address, scope: scopeOf(identity), ...placementOf(identity) };
}
