// Tracks which guests wait for which address, from requests on the bridge's packet socket and from misses. Pure; time is
// injected.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";

/** A guest asks once a second, three times: one that asked longer ago has given up. */
export const waitingMs = 3_000;
const maxTargets = 4_096;
const maxAskersPerTarget = 64;

/** A request or a probe that a guest broadcast on its bridge. */
export interface Heard {
  /** The guest that asks; undefined for a probe or an announcement of its own address, which must not be answered. */
  readonly asker?: WaitingGuest;
  /** The address that the frame claims: of a request the sender's, of a probe the target. */
  readonly claim?: WaitingGuest;
  readonly target: IpAddress;
}

export interface WaitingGuest {
  readonly mac: MacAddress;
  readonly ip: IpAddress;
}

/** The guests to which the answer for an address is sent. */
export interface Audience {
  readonly guests: readonly WaitingGuest[];
  /** It missed lately, and no request or probe was recorded: some guest waits, but it is not known which. */
  readonly unheard: boolean;
}

interface Target {
  missedMs: number;
  probedMs: number;
  readonly askers: Map<MacAddress, { readonly guest: WaitingGuest; readonly askedMs: number }>;
}

export class WaitingGuests {
  /** Least recently used first. */
  private readonly targets = new Map<string, Target>();

  missed(vni: Vni, target: IpAddress, nowMs: number): void {
    this.touch(vni, target).missedMs = nowMs;
  }

  heard(vni: Vni, { asker, target }: Heard, nowMs: number): void {
    const entry = this.touch(vni, target);
    if (!asker) entry.probedMs = nowMs;
    else if (entry.askers.has(asker.mac) || entry.askers.size < maxAskersPerTarget) {
      entry.askers.delete(asker.mac);
      entry.askers.set(asker.mac, { guest: asker, askedMs: nowMs });
    }
  }

  /** The guest that asked last for an address. */
  lastAsker(vni: Vni, target: IpAddress): WaitingGuest | undefined {
    return [...(this.targets.get(keyOf(vni, target))?.askers.values() ?? [])].at(-1)?.guest;
  }

  /** Whether a guest may wait for `target`: it has missed or was asked for lately. */
  isAwaited(vni: Vni, target: IpAddress, nowMs: number): boolean {
    const entry = this.targets.get(keyOf(vni, target));
    const since = nowMs - waitingMs;
    return (
      entry !== undefined &&
      (entry.missedMs >= since || [...entry.askers.values()].some((each) => each.askedMs >= since))
    );
  }

  /** The guests that wait for `target`, which is known now; they stop waiting. */
  take(vni: Vni, target: IpAddress, nowMs: number): Audience {
    const key = keyOf(vni, target);
    const entry = this.targets.get(key);
    if (!entry) return { guests: [], unheard: false };
    this.targets.delete(key);
    const since = nowMs - waitingMs;
    const guests = [...entry.askers.values()].filter(({ askedMs }) => askedMs >= since).map(({ guest }) => guest);
    return { guests, unheard: guests.length === 0 && entry.missedMs >= since && entry.probedMs < since };
  }

  /** A guest has its answer for `target`, and does not wait any more. */
  answered(vni: Vni, target: IpAddress, guest: MacAddress): void {
    this.targets.get(keyOf(vni, target))?.askers.delete(guest);
  }

  private touch(vni: Vni, target: IpAddress): Target {
    const key = keyOf(vni, target);
    const entry = this.targets.get(key) ?? { missedMs: -waitingMs, probedMs: -waitingMs, askers: new Map() };
    this.targets.delete(key);
    this.targets.set(key, entry);
    const [oldest] = this.targets.keys();
    if (this.targets.size > maxTargets && oldest !== undefined) this.targets.delete(oldest);
    return entry;
  }
}

const keyOf = (vni: Vni, target: IpAddress): string => `${vni} ${target}`;
