// Findings of agents become operational events, within bounds: of the agent's own host and of networks with a VM on it
// only, and not more than an honest agent has to say.
import type { FastifyBaseLogger } from "fastify";
import { parseMac } from "../../schema/address/index.ts";
import { isConditionValue, isHostConditionKind, type ReportedFinding } from "../../schema/agent/index.ts";
import type { OperationalEvent } from "../../schema/events/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import type { Metrics } from "../metrics.ts";
import type { Committer } from "../write/committer.ts";
import { wordsOf } from "./host-words.ts";

/** Events of one host in `windowMs`, and more than an agent reports (test/unit/agreed-numbers.test.ts). */
export const maxPerWindow = 240;
export const windowMs = 60_000;

export interface HostFindingsDeps {
  readonly committer: Pick<Committer, "current">;
  readonly operational: OperationalEvents;
  readonly metrics: Metrics;
  /** The host sent its conditions at that time: findings of these kinds say the same. */
  readonly reportsConditions: (host: string, agoMs: number) => boolean;
  readonly log: FastifyBaseLogger;
  readonly now: () => Date;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class HostFindings {
  private readonly windows = new Map<string, { readonly sinceMs: number; used: number }>();

  constructor(private readonly deps: HostFindingsDeps) {}

  take(host: string, findings: readonly ReportedFinding[]): void {
    const { committer, operational, metrics, log, now } = this.deps;
    for (const finding of findings) {
      const { vni, firstAgoMs, lastAgoMs, kind, count } = finding;
      const network = vni === undefined ? undefined : findKnownNetwork(committer.current, host, vni);
      if (vni !== undefined && !network) {
        metrics.operationalRefused("network");
        continue;
      }
      // Its conditions begin and end as such; a VM that is being migrated here is expected.
      if (isHostConditionKind(kind) && this.deps.reportsConditions(host, lastAgoMs)) continue;
      if (kind === "theft" && network && isExpected(committer.current, host, network, finding)) continue;
      metrics.operational(host, kind, count);
      if (!this.admits(host)) continue;
      const heardMs = now().getTime();
      const ago = (ms: number): string => new Date(heardMs - ms).toISOString();
      const event: Omit<OperationalEvent, "sequence"> = {
        kind,
        host,
        ...(network ? { network: network.name, networkUid: network.uid, vni: network.vni } : {}),
        ...wordsOf(finding, (name) => name === network?.name),
        count,
        first: ago(firstAgoMs),
        last: ago(lastAgoMs),
      };
      operational.publish(event);
      log.info(event, "reported by a host");
    }
  }

  /** The host is deleted. */
  forget(host: string): void {
    this.windows.delete(host);
  }

  /** Whether another event of the host may be published. */
  admits(host: string): boolean {
    const { metrics, log, nowMs } = this.deps;
    let window = this.windows.get(host);
    if (!window || nowMs() - window.sinceMs >= windowMs) {
      window = { sinceMs: nowMs(), used: 0 };
      this.windows.set(host, window);
    }
    window.used += 1;
    if (window.used <= maxPerWindow) return true;
    metrics.operationalRefused("rate");
    if (window.used === maxPerWindow + 1)
      log.warn({ host }, "the agent exceeds its limit of reports: more are only counted");
    return false;
  }
}

/** The guest that "stole" a MAC is its VM, which runs here already: its migration is not committed yet. */
function isExpected(state: Inventory, host: string, { name }: Network, { subject }: ReportedFinding): boolean {
  if (subject === undefined || !isConditionValue("mac", subject)) return false;
  return state.findByMac(name, parseMac(subject))?.vm.preparedHost === host;
}
