// Recently released addresses: they are not assigned to another VM for a while, because guests and their peers may
// still have the old MAC cached. An operator may still name one.
import type { IpAddress } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { InterfaceSpec } from "../../schema/rest/index.ts";

export interface Release {
  readonly network: string;
  readonly ip: IpAddress;
}

export interface TimedRelease extends Release {
  /** Wall clock, ms: it has to mean something after a restart. */
  readonly atMs: number;
}

/** Addresses that the change takes from its VM. Another VM of the same change set may have them now. */
export function releasedBy(change: ResourceChange): Release[] {
  if (change.kind !== "vm" || !change.before) return [];
  const kept = new Set(
    (change.after?.interfaces ?? []).flatMap(addressesOf).map(({ network, ip }) => `${network} ${ip}`),
  );
  return change.before.interfaces.flatMap(addressesOf).filter(({ network, ip }) => !kept.has(`${network} ${ip}`));
}

/** Addresses that the VM has after the change. */
export function addressesAfter(change: ResourceChange): Release[] {
  return change.kind === "vm" ? (change.after?.interfaces ?? []).flatMap(addressesOf) : [];
}

function addressesOf({ network, ips }: InterfaceSpec): Release[] {
  return ips.map((ip) => ({ network, ip }));
}

export class Quarantine {
  /** In order of release. */
  private readonly byNetwork = new Map<string, Map<IpAddress, number>>();

  hold({ network, ip, atMs }: TimedRelease): void {
    const held = this.byNetwork.get(network) ?? new Map<IpAddress, number>();
    this.byNetwork.set(network, held);
    held.delete(ip);
    held.set(ip, atMs);
  }

  end(network: string, ip: IpAddress): void {
    const held = this.byNetwork.get(network);
    if (held?.delete(ip) && held.size === 0) this.byNetwork.delete(network);
  }

  get isEmpty(): boolean {
    return this.byNetwork.size === 0;
  }

  /** When the address was released; undefined if it is not in quarantine. */
  releasedAtMs(network: string, ip: IpAddress): number | undefined {
    return this.byNetwork.get(network)?.get(ip);
  }

  /** Puts releases back, each at its place in the order of release. */
  restore(releases: readonly TimedRelease[]): void {
    for (const release of releases) this.hold(release);
    for (const network of new Set(releases.map((release) => release.network))) {
      const held = this.byNetwork.get(network) ?? [];
      this.byNetwork.set(network, new Map([...held].sort(([, a], [, b]) => a - b)));
    }
  }

  heldIn(network: string): Iterable<IpAddress> {
    return this.byNetwork.get(network)?.keys() ?? [];
  }

  /** Removes addresses that were released at `untilMs` or earlier, and returns them. */
  expire(network: string, untilMs: number): IpAddress[] {
    const expired: IpAddress[] = [];
    for (const [ip, atMs] of this.byNetwork.get(network) ?? []) {
      if (atMs > untilMs) break;
      expired.push(ip);
    }
    for (const ip of expired) this.end(network, ip);
    return expired;
  }
}
