// Change sets of any size: decided on a known head beside other writes, and appended as one revision where no other write has changed what the
// decision rests on. Otherwise they are decided anew, the last time alone, so that an import which is overtaken again and again ends. An accepted one
// arrives in memory and on disk beside other writes too, which cannot touch it any more.
import { inSlices } from "../../common/cooperative.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import type { StagedChanges } from "../inventory/changes.ts";
import type { Footprint } from "../inventory/footprint.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import type { Arrival } from "./arrival.ts";
import { type ChangeSet, ChangeSetRefused } from "./orders.ts";
import type { Overtaking } from "./overtaking.ts";
import type { DecidedSet, Pending } from "./pending.ts";

/** Decisions beside other writes: after so many that were overtaken, the others wait. */
export const maxOvertaken = 2;

/** A head of the log. What is changed behind it is kept, and recorded. */
export interface HeadView {
  readonly inventory: PinnedInventory;
  readonly revision: Revision;
  readonly overtaking: Overtaking;
  /** Nothing more is recorded or kept. */
  close(): void;
}

/** Runs a task while nothing else is decided, appended or published. */
export type InTurn = <T>(task: () => Promise<T>) => Promise<T>;

/** The log, as far as change sets need it. `view`, `admit` and `append` are called in a turn. */
export interface GuardedLog {
  readonly inTurn: InTurn;
  /** At the head that was published last. */
  readonly current: Inventory;
  view(): Promise<HeadView>;
  /** It arrives in memory from here on. One at a time. @param isTouchedBy other writes for which it is true wait */
  admit(changes: StagedChanges, isTouchedBy: (change: ResourceChange) => boolean): Arrival;
  /** Writes the changes down beside other writes, so that `append` is short. */
  stage(changes: StagedChanges): Promise<void>;
  /** Drops what was staged and not appended. */
  unstage(changes: StagedChanges): Promise<void>;
  /** Appends and publishes one revision. @returns undefined where another writer of the log was faster */
  append(by: Actor, arrival: Arrival): Promise<Revision | undefined>;
  /** Nothing waits for it any more, and what was not appended leaves the memory. */
  end(arrival: Arrival): Promise<void>;
}

/** In which steps of a change set run. */
interface Turn {
  /** While nothing else is decided, appended or published. */
  readonly inTurn: InTurn;
  /** While no other change set arrives. */
  readonly inLine: InTurn;
}

const inThisTurn: InTurn = (task) => task();

export class ChangeSets {
  /** One arrives after the other. Who waits in it has no turn: what it waits for needs one. */
  private readonly line = new SerialQueue();

  constructor(
    private readonly log: GuardedLog,
    private readonly pending: Pick<Pending, "decideAll" | "inventory">,
  ) {}

  /** @throws ChangeSetRefused, and what `GuardedLog` throws */
  async write(by: Actor, changeSet: ChangeSet): Promise<Revision> {
    const inLine: InTurn = (task) => this.line.run(task);
    for (let attempt = 0; attempt < maxOvertaken; attempt++) {
      const revision = await this.attempt(by, changeSet, { inTurn: this.log.inTurn, inLine });
      if (revision !== undefined) return revision;
    }
    const alone = async () => {
      // Only another writer of the same log can overtake it now.
      for (;;) {
        const revision = await this.attempt(by, changeSet, { inTurn: inThisTurn, inLine: inThisTurn });
        if (revision !== undefined) return revision;
      }
    };
    return inLine(() => this.log.inTurn(alone));
  }

  /** @returns undefined where it was overtaken */
  private async attempt(by: Actor, changeSet: ChangeSet, turn: Turn): Promise<Revision | undefined> {
    const view = await turn.inTurn(() => this.log.view());
    try {
      const { inventory, revision } = view;
      const decided = await this.pending.decideAll(by, changeSet, inventory, (revision + 1) as Revision);
      if (changeSet.dryRun || decided.changes.length === 0) return revision;
      if (await inSlices(this.touches(by, view, decided.footprint))) return undefined;
      return await turn.inLine(() => this.append(by, view, decided, turn.inTurn));
    } catch (error) {
      // Free addresses are looked for at the present head, which may be another than the rest of the decision sees.
      const isUnsure = changeSet.assigns && !view.overtaking.isEmpty;
      if (error instanceof ChangeSetRefused && isUnsure) return undefined;
      throw error;
    } finally {
      view.close();
    }
  }

  private async append(by: Actor, view: HeadView, decided: DecidedSet, inTurn: InTurn): Promise<Revision | undefined> {
    const { changes, footprint } = decided;
    // Most of them are compared before the turn, which is short then.
    if (await inSlices(this.touches(by, view, footprint))) return undefined;
    const arrival = await inTurn(async () => {
      if (atOnce(this.touches(by, view, footprint))) return undefined;
      return this.log.admit(changes, (change) => this.touchesOne(by, change, footprint));
    });
    if (!arrival) return undefined;
    try {
      const [staged, arrived] = await Promise.allSettled([this.log.stage(changes), arrival.whole]);
      for (const each of [arrived, staged]) if (each.status === "rejected") throw each.reason;
      return await inTurn(() => this.log.append(by, arrival));
    } finally {
      await this.log.end(arrival);
      await this.log.unstage(changes);
    }
  }

  private *touches({ quota }: Actor, { overtaking }: HeadView, footprint: Footprint): Steps<boolean> {
    if (quota && overtaking.hasVms) return true;
    return yield* overtaking.touches(footprint, this.log.current);
  }

  /** @param change pending */
  private touchesOne({ quota }: Actor, change: ResourceChange, footprint: Footprint): boolean {
    if (quota && change.kind === "vm") return true;
    const { inventory } = this.pending;
    return footprint.isTouchedBy(change, inventory) || !footprint.fitsBeside(change, inventory);
  }
}
