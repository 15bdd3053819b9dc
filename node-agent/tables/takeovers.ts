// Addresses that guests of this host announce and are allowed: which of them the controller is asked for, and when again. Pure; time is an
// argument.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import type { HeldFact } from "./held-network.ts";

/** An address that the guest at a registered port says it has. */
export interface Announced {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ip: IpAddress;
  readonly port: string;
  /** To all; otherwise the guest only uses it, which counts where no guest has it. */
  readonly announces: boolean;
}

export interface Claim extends Announced {
  readonly heardMs: number;
}

/** The answer to a claim takes milliseconds. */
const answerMs = 1_000;
/** A claim that was refused is not made again for this time, however often the guest announces. */
const refusedMs = 1_000;
/**
 * A lost session is noticed and followed by the next one within this time, and a guest may announce only once. An older announcement may be out
 * of date; of two, the controller takes the later one.
 */
const currentMs = 60_000;
/** Of one host. Beyond, the oldest is dropped. */
export const maxPending = 1_024;

interface Pending extends Claim {
  /** Absent: not sent in this session. */
  readonly sentMs?: number;
}

export class Takeovers {
  private readonly pending = new Map<string, Pending>();
  private readonly refusedUntil = new Map<string, number>();

  get size(): number {
    return this.pending.size;
  }

  /** @param fact what is cached of the address. @returns the claim to send now */
  heard(announced: Announced, fact: HeldFact | undefined, nowMs: number): Claim | undefined {
    const key = keyOf(announced);
    if (fact?.kind === "local" && fact.mac === announced.mac) {
      this.pending.delete(key);
      return undefined;
    }
    const isTaken = fact?.kind === "local" || fact?.kind === "remote";
    if (!announced.announces && isTaken) return undefined;
    if (nowMs < (this.refusedUntil.get(key) ?? 0)) return undefined;
    const known = this.pending.get(key);
    // What was announced to all is asked for as such, also where the guest only uses it now.
    const announces = announced.announces || known?.announces === true;
    const claim: Claim = { ...announced, announces, heardMs: nowMs };
    const isSent = known?.sentMs !== undefined && nowMs - known.sentMs < answerMs && known.announces === announces;
    this.put(key, isSent ? { ...claim, sentMs: known.sentMs } : claim);
    return isSent ? undefined : claim;
  }

  sent(claim: Claim, nowMs: number): void {
    const key = keyOf(claim);
    if (this.pending.has(key)) this.put(key, { ...claim, sentMs: nowMs });
  }

  /** The controller has decided. The change itself comes as every change. */
  answered(claim: Claim, granted: boolean, nowMs: number): void {
    const key = keyOf(claim);
    this.pending.delete(key);
    if (granted) return;
    for (const [each, untilMs] of this.refusedUntil) if (untilMs <= nowMs) this.refusedUntil.delete(each);
    if (this.refusedUntil.size < maxPending) this.refusedUntil.set(key, nowMs + refusedMs);
  }

  /** Claims without an answer, which are made again. */
  due(nowMs: number): Claim[] {
    const due: Claim[] = [];
    for (const [key, { sentMs, ...claim }] of this.pending) {
      if (nowMs - claim.heardMs >= currentMs) this.pending.delete(key);
      else if (sentMs === undefined || nowMs - sentMs >= answerMs) due.push(claim);
    }
    return due;
  }

  /** The session has ended: nothing will be answered. */
  closed(): void {
    for (const [key, { sentMs: _, ...claim }] of this.pending) this.pending.set(key, claim);
  }

  private put(key: string, pending: Pending): void {
    this.pending.delete(key);
    this.pending.set(key, pending);
    const [oldest] = this.pending.keys();
    if (this.pending.size > maxPending && oldest !== undefined) this.pending.delete(oldest);
  }
}

const keyOf = ({ vni, mac, ip }: Announced): string => `${vni} ${mac} ${ip}`;
