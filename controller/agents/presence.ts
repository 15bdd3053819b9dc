// Which hosts have an agent, from an operator's point of view: a session that ends and resumes within the grace period
// is not an event.
import type { FastifyBaseLogger } from "fastify";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { Metrics } from "../metrics.ts";

export interface PresenceDeps {
  readonly operational: OperationalEvents;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
  /** A host is lost after this time without a session: longer than an agent waits between two attempts. */
  readonly graceMs: number;
  readonly now: () => Date;
}

export class Presence {
  /** Hosts that count as connected; with a timer, those without a session. */
  private readonly present = new Map<string, NodeJS.Timeout | undefined>();

  constructor(private readonly deps: PresenceDeps) {}

  /** A session has begun. */
  connected(host: string): void {
    const isNews = !this.present.has(host);
    clearTimeout(this.present.get(host));
    this.present.set(host, undefined);
    if (isNews) this.publish("host-connected", host, this.deps.now());
  }

  /** Its session has ended, and no other took its place. */
  disconnected(host: string): void {
    if (!this.present.has(host)) return;
    const since = this.deps.now();
    clearTimeout(this.present.get(host));
    const timer = setTimeout(() => {
      this.present.delete(host);
      this.publish("host-lost", host, since);
      this.deps.log.warn({ host, since }, "host lost: its agent has no session");
    }, this.deps.graceMs);
    this.present.set(host, timer.unref());
  }

  /** It has no session, and has had none for the grace period or since the start. */
  isLost(host: string): boolean {
    return !this.present.has(host);
  }

  /** The host is deleted. */
  forget(host: string): void {
    clearTimeout(this.present.get(host));
    this.present.delete(host);
  }

  stop(): void {
    for (const timer of this.present.values()) clearTimeout(timer);
    this.present.clear();
  }

  private publish(kind: "host-connected" | "host-lost", host: string, at: Date): void {
    const time = at.toISOString();
    this.deps.metrics.operational(host, kind, 1);
    this.deps.operational.publish({ kind, host, count: 1, first: time, last: time });
  }
}
