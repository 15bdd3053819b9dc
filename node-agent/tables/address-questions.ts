// When guests are asked whether they have an address: in turn those that may take it, and the one that has it when the controller wants to
// know. Pure; time is an argument.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";

/** A guest, and an address that it may take. */
export interface AskedGuest {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ip: IpAddress;
  readonly port: string;
}

/** Each is asked once in so many turns. */
const turnsPerRound = 10;
/** With more than ten times as many on the host a round takes longer. */
export const maxPerTurn = 64;

/** @param turn counts from anywhere. @returns those whose turn it is */
export function inTurn<Each>(all: readonly Each[], turn: number): Each[] {
  const turns = Math.max(turnsPerRound, Math.ceil(all.length / maxPerTurn));
  const found: Each[] = [];
  for (let i = turn % turns; i < all.length; i += turns) found.push(all[i] as Each);
  return found;
}

/** A question of the controller. */
export interface Probe extends AskedGuest {
  readonly id: number;
}

/** The guest is asked at these times, ms. */
const askMs = [0, 300, 600] as const;
/** Without an answer until then it is silent. */
const silentMs = 1_000;
/** Of one host. The controller keeps the address where it is when more are not answered. */
export const maxProbes = 256;

interface Running extends Probe {
  readonly startMs: number;
  asked: number;
}

export interface DueQuestion extends AskedGuest {
  /** Not all guests answer both forms. */
  readonly isLast: boolean;
}

export class OwnerProbes {
  private readonly running = new Map<number, Running>();

  get size(): number {
    return this.running.size;
  }

  begin(probe: Probe, nowMs: number): void {
    if (this.running.size < maxProbes) this.running.set(probe.id, { ...probe, startMs: nowMs, asked: 0 });
  }

  /** @returns ids of the probes that this answers */
  heard({ vni, mac, ip }: Pick<AskedGuest, "vni" | "mac" | "ip">): number[] {
    const ids: number[] = [];
    for (const [id, probe] of this.running) {
      if (probe.vni !== vni || probe.mac !== mac || probe.ip !== ip) continue;
      this.running.delete(id);
      ids.push(id);
    }
    return ids;
  }

  /** What to ask now, and the ids of probes that no guest has answered. */
  due(nowMs: number): { readonly questions: DueQuestion[]; readonly silent: number[] } {
    const questions: DueQuestion[] = [];
    const silent: number[] = [];
    for (const [id, probe] of this.running) {
      const sinceMs = nowMs - probe.startMs;
      if (sinceMs >= silentMs) {
        this.running.delete(id);
        silent.push(id);
        continue;
      }
      const atMs = askMs[probe.asked];
      if (atMs === undefined || sinceMs < atMs) continue;
      probe.asked += 1;
      const { vni, mac, ip, port } = probe;
      questions.push({ vni, mac, ip, port, isLast: probe.asked === askMs.length });
    }
    return { questions, silent };
  }

  clear(): void {
    this.running.clear();
  }
}
