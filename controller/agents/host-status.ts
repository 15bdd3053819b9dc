// State of the agents that is not inventory: last seen, applied revision. Lost on a restart, and reported again.
import type { Revision } from "../../schema/address/index.ts";

interface Status {
  lastSeen: Date | null;
  appliedRevision: Revision | null;
  readonly waiters: Set<{ readonly revision: Revision; readonly wake: (applied: boolean) => void }>;
}

export type HostStatus = Readonly<Pick<Status, "lastSeen" | "appliedRevision">>;

/** The same with what is known of the host's session. */
export interface SessionStatus extends HostStatus {
  readonly connected: boolean;
  /** Its conditions, as sentences for operators. */
  readonly problems: readonly string[];
}

export class HostStatuses {
  private readonly byHost = new Map<string, Status>();

  statusOf(host: string): HostStatus {
    return this.byHost.get(host) ?? { lastSeen: null, appliedRevision: null };
  }

  seen(host: string, at: Date): void {
    this.of(host).lastSeen = at;
  }

  applied(host: string, revision: Revision): void {
    const status = this.of(host);
    if (revision > 0) status.appliedRevision = revision;
    for (const waiter of [...status.waiters]) if (waiter.revision <= revision) waiter.wake(true);
  }

  /** Whether the host's kernel reached `revision` within the time. */
  async waitApplied(host: string, revision: Revision, timeoutMs: number): Promise<boolean> {
    const status = this.of(host);
    if (status.appliedRevision !== null && status.appliedRevision >= revision) return true;
    return new Promise((resolve) => {
      const wake = (applied: boolean) => {
        clearTimeout(timer);
        status.waiters.delete(waiter);
        resolve(applied);
      };
      const waiter = { revision, wake };
      const timer = setTimeout(wake, timeoutMs, false);
      status.waiters.add(waiter);
    });
  }

  /** The host is deleted: a new one of the same name starts without state. */
  forget(host: string): void {
    const status = this.byHost.get(host);
    this.byHost.delete(host);
    for (const waiter of [...(status?.waiters ?? [])]) waiter.wake(false);
  }

  /** All waits are over. */
  stop(): void {
    for (const { waiters } of this.byHost.values()) for (const waiter of [...waiters]) waiter.wake(false);
  }

  private of(host: string): Status {
    const status = this.byHost.get(host) ?? { lastSeen: null, appliedRevision: null, waiters: new Set() };
    this.byHost.set(host, status);
    return status;
  }
}
