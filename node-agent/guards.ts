// The rules in the kernel that keep guests and strangers in bounds, and the check of what the host's own filter drops.
import type { GuardedParts, Guards } from "./core.ts";
import { BroadcastGuard } from "./guard/broadcast-guard.ts";
import { GuestGuard } from "./guard/guest-guard.ts";
import { HostGuard } from "./guard/host-guard.ts";
import { removeTable } from "./guard/rule-table.ts";
import { UnderlayGuard } from "./guard/underlay-guard.ts";
import { Links } from "./kernel/devices/links.ts";
import type { Kernel } from "./open-kernel.ts";
import { ConnectionTracking } from "./watch/connection-tracking.ts";
import { HostFilter } from "./watch/host-filter.ts";
import { TunnelFilter } from "./watch/tunnel-filter.ts";

export interface GuardOptions {
  /** Drop frames of guests with addresses that are not registered for their port. */
  readonly antiSpoof: boolean;
  /** Accept tunnelled frames only from hosts of their networks. */
  readonly underlayFilter: boolean;
}

export class HostGuards implements Guards {
  readonly host: HostGuard;
  readonly filter: HostFilter;
  readonly tunnel: TunnelFilter;
  readonly tracking: ConnectionTracking;
  readonly guest: GuestGuard | undefined;
  readonly underlay: UnderlayGuard | undefined;
  readonly broadcast: BroadcastGuard;

  /** Opens sockets in the calling thread's network namespace. */
  constructor(
    { hostRules, devices, requests }: Kernel,
    { antiSpoof, underlayFilter }: GuardOptions,
    parts: GuardedParts,
  ) {
    this.host = new HostGuard({ tables: hostRules, ...parts });
    this.filter = new HostFilter({ devices, ...parts });
    this.tracking = new ConnectionTracking(parts.log);
    const links = new Links(requests);
    this.tunnel = new TunnelFilter({ findUnderlay: (vtep) => links.findByAddress(vtep), ...parts });
    this.guest = antiSpoof ? new GuestGuard(parts) : undefined;
    this.underlay = underlayFilter ? new UnderlayGuard(parts) : undefined;
    this.broadcast = new BroadcastGuard(parts);
  }

  /** These follow the registered addresses. */
  get following(): readonly (GuestGuard | UnderlayGuard | BroadcastGuard)[] {
    return [this.guest, this.underlay, this.broadcast].filter((each) => each !== undefined);
  }

  /** These say what is wrong with the host around the networks. */
  get around(): readonly (HostGuard | HostFilter | TunnelFilter | ConnectionTracking)[] {
    return [this.host, this.filter, this.tunnel, this.tracking];
  }

  readonly onVteps = (): void => {
    this.tunnel.lookSoon();
  };

  /** Loads what keeps guests from the host, and removes the rules of an earlier run that are not asked for any more. */
  async begin(): Promise<void> {
    await this.host.settle();
    if (!this.guest) await removeTable("bridge");
    if (!this.underlay) await removeTable("inet");
  }

  /** The rules stay: the data path does not need the agent. */
  close(): void {
    const all = [this.host, this.filter, this.tunnel, this.tracking, this.guest, this.underlay, this.broadcast];
    for (const each of all) each?.close();
  }
}
