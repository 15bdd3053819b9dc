// Agents that the controller refuses for good, by the host as which they come: a condition as long as they come again. In memory, because an
// agent that is refused tries again within minutes.
import type { ConditionFacts } from "../../schema/agent/index.ts";

export interface Refusal {
  readonly reason: "revoked" | "expired" | "name-taken" | "vtep-taken";
  readonly values?: Readonly<Record<string, string>>;
  /** Of the agent that is refused, where another one has the host's name. */
  readonly key?: string | undefined;
}

interface Refused {
  readonly reason: Refusal["reason"];
  readonly key: string | undefined;
  readonly values: Readonly<Record<string, string>>;
  readonly since: Date;
  lastMs: number;
}

type RefusedCondition = ConditionFacts<"host-refused"> & { readonly since: Date };

/** An agent waits at most 5 minutes between two tries (node-agent/controller-link/backoff.ts), and may be late. */
export const refusedForMs = 11 * 60_000;

export class RefusedAgents {
  private readonly byHost = new Map<string, Refused>();

  /** @returns whether it is another than before: worth a line in the log */
  note(host: string, { reason, values = {}, key }: Refusal, now: Date, nowMs: number): boolean {
    const known = this.find(host, nowMs);
    if (known?.reason === reason) {
      known.lastMs = nowMs;
      return false;
    }
    this.byHost.set(host, { reason, key, values, since: now, lastMs: nowMs });
    return true;
  }

  /**
   * The host has a session. Another agent of its name, or with its VTEP, may still be refused.
   * @param key of its agent
   * @returns the hosts whose condition is over
   */
  accepted(host: string, key: string | undefined): string[] {
    const over = [...this.byHost].filter(([of, { reason, values, key: refused }]) => {
      if (reason === "vtep-taken") return values.agent === host;
      return of === host && (reason !== "name-taken" || (key !== undefined && refused === key));
    });
    for (const [of] of over) this.byHost.delete(of);
    return over.map(([of]) => of);
  }

  forget(host: string): void {
    this.byHost.delete(host);
  }

  conditionOf(host: string, nowMs: number): RefusedCondition | undefined {
    const known = this.find(host, nowMs);
    return known && { kind: "host-refused", reason: known.reason, values: known.values, since: known.since };
  }

  private find(host: string, nowMs: number): Refused | undefined {
    const known = this.byHost.get(host);
    return known && nowMs - known.lastMs < refusedForMs ? known : undefined;
  }
}
