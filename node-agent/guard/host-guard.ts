// Keeps the rules in the kernel that close the host to its guests (kernel/filters/host-rules.ts): loads them before anything
// else, and again when another program removes them. A kernel that cannot load them is a condition of the host; the agent goes on.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { Reporter } from "../findings/reporter.ts";
import { hostNotCovered, type RuleRefusal } from "../kernel/devices/device-problems.ts";
import type { HostRuleTables } from "../kernel/filters/host-rule-tables.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import { watchRuleset } from "../kernel/sockets/ruleset-watch.ts";

/** Between two attempts if the kernel refuses: a module may be loaded in between. */
const againMs = 30_000;

export interface HostGuardDependencies {
  /** Absent where this kernel has no netfilter. */
  readonly tables: HostRuleTables | undefined;
  readonly reporter: Pick<Reporter, "note">;
  readonly log: Logger;
}

export class HostGuard {
  /** What an operator should fix. */
  conditions: readonly HostCondition[] = [];
  private readonly work = new SerialQueue("stop");
  private stood = false;
  private unwatch: (() => void) | undefined;
  private readonly timer: Repetition;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: HostGuardDependencies) {
    if (deps.tables) this.unwatch = watchRuleset(() => void this.settle());
    this.timer = every(againMs, async () => {
      if (this.conditions.length > 0) await this.settle();
    });
  }

  /** Loads missing rules. Never throws: a refusal of the kernel becomes a condition. */
  settle(): Promise<void> {
    return this.work.run(() => this.load());
  }

  close(): void {
    this.unwatch?.();
    this.timer.stop();
  }

  private async load(): Promise<void> {
    const { tables, log, reporter } = this.deps;
    if (!tables) return this.fail("no netfilter");
    try {
      const loaded = await tables.settle();
      if (loaded && this.stood) {
        reporter.note({ kind: "drift-repaired", subject: "host rules", count: 1 });
        log.warn("another program changed the host rules: loaded again");
      }
      this.stood = true;
      this.conditions = [];
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.fail(error);
    }
  }

  private fail(refusal: RuleRefusal): void {
    const condition = hostNotCovered(refusal);
    const reason = refusal instanceof NetlinkError ? refusal.message : refusal;
    if (!this.conditions.some(({ says }) => says === condition.says))
      this.deps.log.error({ reason }, "host rules not loaded: guests can reach this host");
    this.conditions = [condition];
  }
}
