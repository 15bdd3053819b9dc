// Limits the cost of one host on the agent channel: a token bucket for each host that outlives its sessions, so that
// reconnecting does not refill it. Pure; time is an argument. inbox.ts pauses the socket of a host that is over it.
import { type Rate, TokenBucket } from "../../common/token-bucket.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";

/**
 * Units; a key, a question or a seed is one. An agent asks at most 2,000 questions a second (`allowances` in
 * node-agent/misses/resolver.ts) and releases no more than it has asked for, so 10,000 is twice that and the frames. The burst
 * lets a host declare all that it has by default (131,072 addresses, node-agent/tables/ageing.ts) three times in a row
 * (test/unit/agreed-numbers.test.ts). The peak spreads a large burst: 20,000 units take a tenth of a second of the controller,
 * 40,000 a second a fifth of one CPU.
 */
export const hostAllowance: Allowance = {
  perSecond: 10_000,
  burst: 400_000,
  peak: { perSecond: 40_000, burst: 20_000 },
};

export interface Allowance extends Rate {
  /** The rate to which a burst is spread, in addition. */
  readonly peak?: Rate;
}

/** Of a frame of any kind: reading it off the socket, and its turn. */
export const unitsPerFrame = 4;
/** A sentence of the host is looked up in a table, and an event is sent to all consumers. */
const unitsPerText = 16;
/** A key takes about 60 bytes, so honest frames cost what their keys cost. */
const bytesPerUnit = 64;
/** A claim may be a commit, which others wait for: at most 50 a second from one host. */
const unitsPerClaim = 200;
/** Groups are sent on to every host of the network: 100 changes a second from one host at most. */
const unitsPerMembership = 100;
/** A session costs a snapshot of the host's own VMs and lines in the log: reconnecting without pause stays at 5 a second. */
const unitsPerHello = 2_000;

export class HostAllowances {
  private readonly buckets = new Map<string, readonly TokenBucket[]>();
  private readonly rates: readonly Rate[];

  constructor(allowance = hostAllowance) {
    this.rates = allowance.peak ? [allowance, allowance.peak] : [allowance];
  }

  /** Takes the units, also beyond the balance: the host then waits until the debt is paid. */
  spend(host: string, units: number, nowMs: number): void {
    for (const bucket of this.bucketsOf(host, nowMs)) bucket.spend(units, nowMs);
  }

  /** How long until the host may go on, ms; 0: now. */
  waitMs(host: string, nowMs: number): number {
    let ms = 0;
    for (const bucket of this.bucketsOf(host, nowMs)) ms = Math.max(ms, bucket.waitMs(0, nowMs));
    return Math.ceil(ms);
  }

  /** The host is deleted. */
  forget(host: string): void {
    this.buckets.delete(host);
  }

  private bucketsOf(host: string, nowMs: number): readonly TokenBucket[] {
    const known = this.buckets.get(host);
    if (known) return known;
    const buckets = this.rates.map((rate) => new TokenBucket(rate, nowMs));
    this.buckets.set(host, buckets);
    return buckets;
  }
}

/** Of a frame that was read. @param bytes of its text */
export function costOf(frame: AgentFrame | undefined, bytes: number): number {
  return unitsPerFrame + Math.max(itemsOf(frame), Math.floor(bytes / bytesPerUnit));
}

function itemsOf(frame: AgentFrame | undefined): number {
  switch (frame?.type) {
    case "hello":
      return unitsPerHello;
    case "resolve":
      return frame.questions.length;
    case "interest":
    case "release":
    case "used":
      return frame.keys.length;
    case "applied":
      return unitsPerText * frame.problems.length;
    case "report":
      return unitsPerText * frame.reports.length;
    case "conditions":
      return unitsPerText * (frame.add.length + frame.remove.length) + frame.undecided.length;
    case "claim":
      return unitsPerClaim;
    case "memberships":
      return unitsPerMembership + frame.joined.length + frame.left.length;
    default:
      return 0;
  }
}
