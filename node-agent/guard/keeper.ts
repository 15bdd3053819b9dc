// Common part of both guards: runs one task after the other, again after the ruleset was changed, and turns failures into
// problems.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import { watchRuleset } from "../kernel/sockets/ruleset-watch.ts";
import { CommandError } from "./commands.ts";
import { RuleError } from "./rule-table.ts";

/** Between two looks. */
const everyMs = 2_000;

export interface KeeperDependencies {
  /** The operator's flag, for messages. */
  readonly flag: string;
  /** Checks that the rules are in place, and reads the dropped frames. */
  check(): Promise<void>;
  readonly log: Logger;
}

export class Keeper {
  /** Problems that an operator should fix. */
  problems: readonly string[] = [];
  private readonly work = new SerialQueue("stop");
  private readonly timer: Repetition;
  private readonly unwatch: () => void;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: KeeperDependencies) {
    this.unwatch = watchRuleset(() => void this.inTurn(deps.check));
    this.timer = every(everyMs, () => this.inTurn(deps.check));
  }

  /** A refusal of nft becomes a problem; the agent goes on. */
  inTurn(work: () => Promise<void>): Promise<void> {
    return this.work.run(async () => {
      try {
        await work();
      } catch (error) {
        const known = error instanceof CommandError || error instanceof RuleError || error instanceof SyntaxError;
        if (!known) throw error;
        this.fail(error.message);
      }
    });
  }

  succeed(): void {
    this.problems = [];
  }

  /** The rules stay: the data path does not need the agent. */
  close(): void {
    this.unwatch();
    this.timer.stop();
  }

  private fail(reason: string): void {
    const problem = `the rules that ${this.deps.flag} asks for are not in place: ${reason}`;
    if (!this.problems.includes(problem)) this.deps.log.error({ reason }, `rules of ${this.deps.flag} not in place`);
    this.problems = [problem];
  }
}
