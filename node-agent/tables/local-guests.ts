// Compares the guests that are registered on this host with those that send here. Pure; time is injected.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import type { HeldFact, LocalGuest } from "./held-network.ts";
import type { GuestPort } from "./port.ts";

export interface GuestFinding {
  /** Registered on this host but not seen, or seen but not registered. */
  readonly kind: "guest-never-seen" | "unregistered-guest";
  readonly vni: Vni;
  readonly mac: MacAddress;
  /** A reason of the condition of that kind (schema/agent/condition-kinds.ts). */
  readonly reason: "silent" | "detached" | "absent" | "no-carrier" | "sends";
  /** Absent where none is registered. */
  readonly port?: string;
  /** How long ago its last frame came, ms, where it sends. */
  readonly heardAgoMs?: number;
  /** The observation, as text for operators. */
  readonly detail: string;
}

/** One network at one moment. */
export interface GuestsSeen {
  readonly vni: Vni;
  readonly registered: readonly LocalGuest[];
  /** Of VMs that are being migrated to this host: they may send, and need not. */
  readonly prepared: readonly LocalGuest[];
  /** All guests' ports of the bridge, with the addresses that it has learned on them. */
  readonly ports: readonly GuestPort[];
  /** VMs of other hosts: a frame from their MACs is a theft, which is reported separately. */
  isRemote(mac: MacAddress): boolean;
  /**
   * Where a registered port is that is not among `ports`: another bridge has it (which `wrong-port` reports), it is in none, or there is no such
   * device.
   */
  placeOf(port: string): "elsewhere" | "free" | "absent";
}

/** Maximum of unregistered addresses that are reported per network: a guest can send from any number of them. */
export const maxUnregistered = 32;

/** @param heard the registered guests that were seen in this run of the agent */
export function compareGuests(
  { vni, registered, prepared, ports, isRemote, placeOf }: GuestsSeen,
  heard: ReadonlySet<MacAddress>,
): GuestFinding[] {
  const known = new Set([...registered, ...prepared].map(({ mac }) => mac));
  const silent = registered.flatMap((guest): GuestFinding[] => {
    const why = whyNotSeen(guest, ports, heard, placeOf);
    return why ? [{ kind: "guest-never-seen", vni, mac: guest.mac, ...why }] : [];
  });
  const strangers = ports.flatMap(({ name, learned, heardAgoMs }) =>
    learned
      .filter((mac) => !known.has(mac) && !isRemote(mac))
      .map((mac): GuestFinding => {
        const detail = `it sends on port ${name}`;
        const agoMs = heardAgoMs?.get(mac) ?? 0;
        return { kind: "unregistered-guest", vni, mac, reason: "sends", port: name, heardAgoMs: agoMs, detail };
      }),
  );
  return [...silent, ...strangers.slice(0, maxUnregistered)];
}

/** For a person. */
export const meaningOf: Readonly<Record<GuestFinding["kind"], string>> = {
  "guest-never-seen": "a guest that is registered on this host has not been seen",
  "unregistered-guest": "a guest that is not registered on this host sends frames",
};

/** A registered port learns no addresses, so its presence and carrier count instead. */
function whyNotSeen(
  { mac, port: name }: LocalGuest,
  ports: readonly GuestPort[],
  heard: ReadonlySet<MacAddress>,
  placeOf: GuestsSeen["placeOf"],
): Pick<GuestFinding, "reason" | "port" | "detail"> | undefined {
  if (name === undefined) {
    return heard.has(mac) ? undefined : { reason: "silent", detail: "it has sent no traffic since it was registered" };
  }
  const port = ports.find((each) => each.name === name);
  if (port) {
    return port.carrier ? undefined : { reason: "no-carrier", port: name, detail: `its port ${name} has no carrier` };
  }
  const place = placeOf(name);
  if (place === "elsewhere") return undefined;
  const reason = place === "free" ? "detached" : "absent";
  return { reason, port: name, detail: `its port ${name} is not a port of the bridge` };
}

/** A VM is registered before it is started, and may boot slowly. */
export const neverSeenMs = 60_000;
/** Its registration may be in flight. */
export const unregisteredMs = 5_000;
/** A port that exists is made and attached by one program, in a moment. */
export const detachedMs = 1_000;

/** How long a finding has to last before it counts. */
function patienceFor({ kind, reason }: GuestFinding): number {
  if (kind === "unregistered-guest") return unregisteredMs;
  return reason === "detached" ? detachedMs : neverSeenMs;
}

/** The findings of all networks that have lasted long enough to be reported. */
export class LastingFindings {
  private readonly sinceMs = new Map<
    string,
    { readonly vni: Vni; readonly atMs: number; readonly patienceMs: number }
  >();
  private readonly told = new Map<string, GuestFinding>();

  /** The present ones. */
  list(): GuestFinding[] {
    return [...this.told.values()];
  }

  /**
   * Networks with findings that begin or end without a message of the kernel: those that do not count yet, and guests that a bridge forgets
   * silently.
   */
  undecidedIn(): ReadonlySet<Vni> {
    const waiting = [...this.sinceMs].filter(([name]) => !this.told.has(name)).map(([, { vni }]) => vni);
    const sending = this.list().filter(({ kind }) => kind === "unregistered-guest");
    return new Set([...waiting, ...sending.map(({ vni }) => vni)]);
  }

  /** When a finding that is present next counts, ms from now; undefined: none is due. */
  dueInMs(nowMs: number): number | undefined {
    const due = [...this.sinceMs].flatMap(([name, { atMs, patienceMs }]) =>
      this.told.has(name) ? [] : [Math.max(0, atMs + patienceMs - nowMs)],
    );
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** @param found all present findings of the network. @returns those that must be reported now */
  update(vni: Vni, found: readonly GuestFinding[], nowMs: number): GuestFinding[] {
    const now = new Map(found.map((finding) => [nameOf(finding), finding]));
    for (const name of this.sinceMs.keys()) {
      if (!name.startsWith(`${vni} `) || now.has(name)) continue;
      this.sinceMs.delete(name);
      this.told.delete(name);
    }
    const fresh: GuestFinding[] = [];
    for (const [name, finding] of now) {
      const atMs = this.sinceMs.get(name)?.atMs ?? nowMs;
      const patienceMs = patienceFor(finding);
      this.sinceMs.set(name, { vni, atMs, patienceMs });
      // A bridge remembers a guest for a while that has left, or has another address since: only its frames count.
      if (nowMs - (finding.heardAgoMs ?? 0) - atMs < patienceMs && !this.told.has(name)) continue;
      if (!this.told.has(name)) fresh.push(finding);
      this.told.set(name, finding);
    }
    return fresh;
  }
}

export interface ConflictFinding {
  readonly kind: "address-conflict";
  readonly vni: Vni;
  /** The address. */
  readonly subject: IpAddress;
  /** For a person. */
  readonly detail: string;
}

/**
 * A guest of this host uses, or probes for, an address that is registered for another MAC. @param known the held answer for the
 * address
 */
export function findConflict(
  vni: Vni,
  { mac, ip }: { readonly mac: MacAddress; readonly ip: IpAddress },
  known: HeldFact | undefined,
): ConflictFinding | undefined {
  if (!known || known.kind === "absent" || known.mac === mac) return undefined;
  const where = known.kind === "local" ? "a VM of this host" : "a VM of another host";
  const detail = `${mac} on this host uses ${ip}, which is registered for ${known.mac}, ${where}`;
  return { kind: "address-conflict", vni, subject: ip, detail };
}

const nameOf = ({ vni, kind, mac }: GuestFinding): string => `${vni} ${kind} ${mac}`;
