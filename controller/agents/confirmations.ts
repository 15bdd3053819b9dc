// Which hosts have to confirm a revision, which have, and when. No I/O, no clock.
import type { ConfirmationView } from "../../schema/rest/index.ts";

export interface Confirmation {
  readonly host: string;
  /** Since the revision was durable. */
  readonly ms: number;
}

export type Confirmed = Pick<ConfirmationView, "confirmed" | "of" | "slowestMs">;

export class Confirmations {
  private readonly hosts: Set<string>;
  private readonly outstanding: Set<string>;
  private slowestMs: number | null = null;

  constructor(hosts: Iterable<string>) {
    this.hosts = new Set(hosts);
    this.outstanding = new Set(this.hosts);
  }

  /** The host's kernel has the revision. @returns false if it had already, or if the host need not confirm */
  confirm({ host, ms }: Confirmation): boolean {
    if (!this.outstanding.delete(host)) return false;
    this.slowestMs = Math.max(this.slowestMs ?? 0, ms);
    return true;
  }

  /** The host was deleted: no move waits for it any longer. */
  forget(host: string): void {
    if (this.outstanding.delete(host)) this.hosts.delete(host);
  }

  get unconfirmed(): string[] {
    return [...this.outstanding].sort();
  }

  get counts(): Confirmed {
    const { hosts, outstanding, slowestMs } = this;
    return { confirmed: hosts.size - outstanding.size, of: hosts.size, slowestMs };
  }
}
