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
  /** To all; otherwise the guest only uses it. */
  readonly announces: boolean;
}

export interface Claim extends Announced {
  /** When it was announced last; where it is only used: when it was heard last. */
  readonly heardMs: number;
}

/** The answer to a claim takes milliseconds. */
const answerMs = 1_000;
/** Unless the controller asks the guest that has the address. */
const usedAnswerMs = 4_000;
/** A claim that was refused is not made again for this time, however often the guest announces. */
const refusedMs = 1_000;
/** The same of an address that is only used. */
const usedRefusedMs = 5_000;
/** A frame may be on its way while another guest takes the address: a guest still uses it after this time, or has dropped it. */
const confirmMs = 1_500;
/** Without a sign for so long the guest is asked, before the controller is. */
const freshMs = 1_500;
/** A lost session is noticed and followed by the next one within this time. */
const currentMs = 60_000;
/** A guest that does not answer has dropped the address. */
const maxQuestions = 4;
/** Of one host. Beyond, the oldest is dropped. */
export const maxPending = 1_024;

interface Pending extends Claim {
  /** A sign from here on makes it a claim. */
  readonly confirmedMs: number;
  /** The last sign that the guest has the address. */
  readonly signMs: number;
  /** Since then. */
  readonly questions: number;
  /** Absent: not sent in this session. */
  readonly sentMs?: number;
}

interface Refused {
  readonly untilMs: number;
  readonly announces: boolean;
}

export class Takeovers {
  private readonly pending = new Map<string, Pending>();
  private readonly refused = new Map<string, Refused>();

  get size(): number {
    return this.pending.size;
  }

  /** @param fact what is cached of the address. @returns the claim to send now */
  heard(announced: Announced, fact: HeldFact | undefined, nowMs: number): Claim | undefined {
    const key = keyOf(announced);
    const owner = fact?.kind === "local" || fact?.kind === "remote" ? fact : undefined;
    // Remote and its own: it is being migrated, and its addresses come along.
    if (owner?.mac === announced.mac && (owner.kind === "local" || !announced.announces)) {
      this.pending.delete(key);
      return undefined;
    }
    if (this.isRefused(key, announced, nowMs)) return undefined;
    const known = this.pending.get(key);
    // What was announced to all is asked for as such, also where the guest only uses it now.
    const announces = announced.announces || known?.announces === true;
    const heardMs = known?.announces && !announced.announces ? known.heardMs : nowMs;
    const claim: Claim = { ...announced, announces, heardMs };
    const confirmedMs = announces || !owner ? nowMs : (known?.confirmedMs ?? nowMs + confirmMs);
    const isSent = known?.sentMs !== undefined && !isOverdue(known, nowMs) && known.announces === announces;
    const sent = isSent ? { sentMs: known.sentMs } : {};
    this.put(key, { ...claim, confirmedMs, signMs: nowMs, questions: 0, ...sent });
    return isSent || nowMs < confirmedMs ? undefined : claim;
  }

  sent(claim: Claim, nowMs: number): void {
    const key = keyOf(claim);
    const known = this.pending.get(key);
    if (known) this.put(key, { ...known, sentMs: nowMs });
  }

  /** The controller has decided. The change itself comes as every change. */
  answered(claim: Claim, granted: boolean, nowMs: number): void {
    const key = keyOf(claim);
    this.pending.delete(key);
    if (granted) return;
    for (const [each, { untilMs }] of this.refused) if (untilMs <= nowMs) this.refused.delete(each);
    const { announces } = claim;
    const untilMs = nowMs + (announces ? refusedMs : usedRefusedMs);
    if (this.refused.size < maxPending) this.refused.set(key, { untilMs, announces });
  }

  /** Claims without an answer, which are made again, and guests to ask before. */
  due(nowMs: number): { readonly claims: Claim[]; readonly questions: Announced[] } {
    const claims: Claim[] = [];
    const questions: Announced[] = [];
    for (const [key, each] of this.pending) {
      if (nowMs - each.heardMs >= currentMs || each.questions >= maxQuestions) this.pending.delete(key);
      else if (nowMs < each.confirmedMs || (each.sentMs !== undefined && !isOverdue(each, nowMs))) continue;
      else if (each.signMs >= each.confirmedMs && nowMs - each.signMs < freshMs) claims.push(claimOf(each));
      else {
        questions.push(announcedOf(each));
        this.pending.set(key, { ...each, questions: each.questions + 1 });
      }
    }
    return { claims, questions };
  }

  /** The session has ended: nothing will be answered. */
  closed(): void {
    for (const [key, { sentMs: _, ...each }] of this.pending) this.pending.set(key, each);
  }

  /** An announcement is claimed also where a use was refused. */
  private isRefused(key: string, { announces }: Announced, nowMs: number): boolean {
    const refused = this.refused.get(key);
    return refused !== undefined && nowMs < refused.untilMs && (refused.announces || !announces);
  }

  private put(key: string, pending: Pending): void {
    this.pending.delete(key);
    this.pending.set(key, pending);
    const [oldest] = this.pending.keys();
    if (this.pending.size > maxPending && oldest !== undefined) this.pending.delete(oldest);
  }
}

const keyOf = ({ vni, mac, ip }: Announced): string => `${vni} ${mac} ${ip}`;

const announcedOf = ({ vni, mac, ip, port, announces }: Announced): Announced => ({ vni, mac, ip, port, announces });

const claimOf = (each: Claim): Claim => ({ ...announcedOf(each), heardMs: each.heardMs });

const isOverdue = ({ sentMs = 0, announces }: Pending, nowMs: number): boolean =>
  nowMs - sentMs >= (announces ? answerMs : usedAnswerMs);
