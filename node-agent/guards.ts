// The rules in the kernel that keep guests and strangers in bounds, and the check of what the host's own filter drops.
import type { GuardedParts, Guards } from "./core.ts";
import { GuestGuard } from "./guard/guest-guard.ts";
import { HostGuard } from "./guard/host-guard.ts";
import { removeTable } from "./guard/rule-table.ts";
import { UnderlayGuard } from "./guard/underlay-guard.ts";
import type { Kernel } from "./open-kernel.ts";
import { HostFilter } from "./watch/host-filter.ts";

export interface GuardOptions {
  /** Drop frames of guests with addresses that are not registered for their port. */
  readonly antiSpoof: boolean;
  /** Accept tunnelled frames only from hosts of their networks. */
  readonly underlayFilter: boolean;
}

export class HostGuards implements Guards {
  readonly host: HostGuard;
  readonly filter: HostFilter;
  readonly guest: GuestGuard | undefined;
  readonly underlay: UnderlayGuard | undefined;

  /** Opens sockets in the calling thread's network namespace. */
  constructor({ hostRules, devices }: Kernel, { antiSpoof, underlayFilter }: GuardOptions, parts: GuardedParts) {
    this.host = new HostGuard({ tables: hostRules, ...parts });
    this.filter = new HostFilter({ devices, ...parts });
    this.guest = antiSpoof ? new GuestGuard(parts) : undefined;
    this.underlay = underlayFilter ? new UnderlayGuard(parts) : undefined;
  }

  /** These follow the registered addresses. */
  get following(): readonly (GuestGuard | UnderlayGuard)[] {
    return [this.guest, this.underlay].filter((each) => each !== undefined);
  }

  /** These say what is wrong with the host around the networks. */
  get around(): readonly (HostGuard | HostFilter)[] {
    return [this.host, this.filter];
  }

  /** Loads what keeps guests from the host, and removes the rules of an earlier run that are not asked for any more. */
  async begin(): Promise<void> {
    await this.host.settle();
    if (!this.guest) await removeTable("bridge");
    if (!this.underlay) await removeTable("inet");
  }

  /** The rules stay: the data path does not need the agent. */
  close(): void {
    for (const each of [this.host, this.filter, this.guest, this.underlay]) each?.close();
  }
}
