// Addresses that guests of this host use although they are not registered for them: seen in what the guests send. Pure; time is
// injected.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import type { HeldFact } from "./held-network.ts";
import { unregisteredMs } from "./local-guests.ts";

/** As long as a bridge knows a silent guest: an address that was not seen for this time is not in use. */
export const inUseMs = 300_000;
/** Of one network: a guest can claim any number of addresses. */
export const maxClaims = 64;

export interface AddressClaim {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ip: IpAddress;
}

/** Which condition a claim is, and whose address it is. */
export type JudgedClaim = AddressClaim &
  (
    | { readonly kind: "address-conflict"; readonly owner: MacAddress; readonly where: "here" | "elsewhere" }
    | { readonly kind: "address-unregistered" }
  );

interface Seen {
  readonly firstMs: number;
  lastMs: number;
}

export class AddressClaims {
  /** By network, then by MAC and IP. */
  private readonly seen = new Map<Vni, Map<string, AddressClaim & Seen>>();

  /** @param judge whether it is one at present */
  note(claim: AddressClaim, judge: (claim: AddressClaim) => JudgedClaim | undefined, nowMs: number): void {
    const { vni, mac, ip } = claim;
    const key = `${mac} ${ip}`;
    const claims = this.seen.get(vni) ?? new Map<string, AddressClaim & Seen>();
    if (!judge(claim)) {
      claims.delete(key);
      return;
    }
    const known = claims.get(key);
    if (known) known.lastMs = nowMs;
    else if (claims.size < maxClaims || this.dropOld(claims, nowMs))
      claims.set(key, { vni, mac, ip, firstMs: nowMs, lastMs: nowMs });
    this.seen.set(vni, claims);
  }

  /** Those that have lasted: a registration may be in flight. What is registered by now is none. */
  list(judge: (claim: AddressClaim) => JudgedClaim | undefined, nowMs: number): JudgedClaim[] {
    return [...this.seen.values()].flatMap((claims) => {
      this.dropOld(claims, nowMs);
      return [...claims.values()].flatMap((claim) => {
        const judged = nowMs - claim.firstMs < unregisteredMs ? undefined : judge(claim);
        return judged ? [judged] : [];
      });
    });
  }

  /** @returns whether there is room */
  private dropOld(claims: Map<string, AddressClaim & Seen>, nowMs: number): boolean {
    for (const [key, { lastMs }] of claims) if (nowMs - lastMs >= inUseMs) claims.delete(key);
    return claims.size < maxClaims;
  }
}

/**
 * @param known the cached answer for the address
 * @param isLocal whether the MAC is registered on this host: of a guest that is not, nothing can be expected
 */
export function judgeClaim(
  claim: AddressClaim,
  known: HeldFact | undefined,
  isLocal: boolean,
): JudgedClaim | undefined {
  // Every guest has a link-local address, and need not register it.
  if (/^(?:fe[89ab][0-9a-f]:|169\.254\.)/.test(claim.ip)) return undefined;
  if (!known || known.kind === "absent") return isLocal ? { ...claim, kind: "address-unregistered" } : undefined;
  if (known.mac === claim.mac) return undefined;
  const where = known.kind === "local" ? "here" : "elsewhere";
  return { ...claim, kind: "address-conflict", owner: known.mac, where };
}
