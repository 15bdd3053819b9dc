// Common part of the guards: runs one task after the other, again after the ruleset was changed, and turns failures into
// conditions.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import { watchRuleset } from "../kernel/sockets/ruleset-watch.ts";
import { CommandError } from "./commands.ts";
import { RuleError } from "./rule-table.ts";

/** Between two looks. */
const everyMs = 2_000;

export interface KeeperDependencies {
  /** The operator's setting, for messages. */
  readonly flag: "--anti-spoof" | "--underlay-filter" | "broadcast: replicate";
  /** Checks that the rules are in place, and reads the dropped frames. */
  check(): Promise<void>;
  /** Handles a failure, which is then no condition of its own. */
  failed?(reason: string): Promise<unknown>;
  readonly log: Logger;
}

export class Keeper {
  /** What an operator should fix. */
  conditions: readonly HostCondition[] = [];
  /** Why the last task failed, until one succeeds. */
  private refusal: string | undefined;
  private readonly work = new SerialQueue("stop");
  private readonly timer: Repetition;
  private readonly unwatch: () => void;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: KeeperDependencies) {
    this.unwatch = watchRuleset(() => void this.inTurn(deps.check));
    this.timer = every(everyMs, () => this.inTurn(deps.check), { inStep: true });
  }

  /** A refusal of nft becomes a condition; the agent goes on. */
  inTurn(work: () => Promise<void>): Promise<void> {
    return this.work.run(async () => {
      try {
        await work();
      } catch (error) {
        const known = error instanceof CommandError || error instanceof RuleError || error instanceof SyntaxError;
        if (!known) throw error;
        await this.fail(error.message);
      }
    });
  }

  succeed(): void {
    this.conditions = [];
    this.refusal = undefined;
  }

  /** The rules stay: the data path does not need the agent. */
  close(): void {
    this.unwatch();
    this.timer.stop();
  }

  private async fail(reason: string): Promise<void> {
    const { flag, failed, log } = this.deps;
    if (this.refusal !== reason) log.error({ reason }, `rules of ${flag} not in place`);
    this.refusal = reason;
    if (failed) return void (await failed(reason));
    const says = `the rules that ${flag} asks for are not in place: ${reason}`;
    this.conditions = [
      asCondition({ kind: "rules-missing", reason: "refused", values: { guard: flag } }, undefined, says),
    ];
  }
}
