// Compares the guests that are registered on this host with those that send here. Pure; time is injected.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import type { HeldFact, LocalGuest } from "./held-network.ts";
import type { GuestPort } from "./port.ts";

export interface GuestFinding {
  /** Registered on this host but not seen, or seen but not registered. */
  readonly kind: "guest-never-seen" | "unregistered-guest";
  readonly vni: Vni;
  readonly mac: MacAddress;
  /** The observation, as text for operators. */
  readonly detail: string;
}

/** One network at one moment. */
export interface GuestsSeen {
  readonly vni: Vni;
  readonly registered: readonly LocalGuest[];
  /** All guests' ports of the bridge, with the addresses that it has learned on them. */
  readonly ports: readonly GuestPort[];
  /** VMs of other hosts: a frame from their MACs is a theft, which is reported separately. */
  isRemote(mac: MacAddress): boolean;
}

/** Maximum of unregistered addresses that are reported per network: a guest can send from any number of them. */
export const maxUnregistered = 32;

/** @param heard the registered guests that were seen in this run of the agent */
export function compareGuests(
  { vni, registered, ports, isRemote }: GuestsSeen,
  heard: ReadonlySet<MacAddress>,
): GuestFinding[] {
  const known = new Set(registered.map(({ mac }) => mac));
  const silent = registered.flatMap((guest): GuestFinding[] => {
    const detail = whyNotSeen(guest, ports, heard);
    return detail === undefined ? [] : [{ kind: "guest-never-seen", vni, mac: guest.mac, detail }];
  });
  const strangers = ports.flatMap(({ name, learned }) =>
    learned
      .filter((mac) => !known.has(mac) && !isRemote(mac))
      .map((mac): GuestFinding => ({ kind: "unregistered-guest", vni, mac, detail: `it sends on port ${name}` })),
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
): string | undefined {
  if (name === undefined) return heard.has(mac) ? undefined : "it has sent no traffic since it was registered";
  const port = ports.find((each) => each.name === name);
  if (!port) return `its port ${name} is not a port of the bridge`;
  return port.carrier ? undefined : `its port ${name} has no carrier`;
}

/** A VM is registered before it is started, and may boot slowly. */
export const neverSeenMs = 60_000;
/** Its registration may be in flight. */
export const unregisteredMs = 5_000;

/** The findings of all networks that have lasted long enough to be reported. */
export class LastingFindings {
  private readonly sinceMs = new Map<string, number>();
  private readonly told = new Map<string, GuestFinding>();

  /** The present ones. */
  list(): GuestFinding[] {
    return [...this.told.values()];
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
      const since = this.sinceMs.get(name) ?? nowMs;
      this.sinceMs.set(name, since);
      if (nowMs - since < (finding.kind === "guest-never-seen" ? neverSeenMs : unregisteredMs)) continue;
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
