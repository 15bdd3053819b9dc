// Change sets of any size: decided on a known head beside other writes, and appended as one revision where no other write has changed what the
// decision rests on. Otherwise they are decided anew, the last time alone, so that an import which is overtaken again and again ends.
import { inSlices } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import type { StagedChanges } from "../inventory/changes.ts";
import type { Footprint } from "../inventory/footprint.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
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

/** The log, as far as change sets need it. `view` and `append` are called in a turn. */
export interface GuardedLog {
  readonly inTurn: InTurn;
  /** At the head that was published last. */
  readonly current: Inventory;
  view(): Promise<HeadView>;
  /** Writes the changes down beside other writes, so that `append` is short. */
  stage(changes: StagedChanges): Promise<void>;
  /** Drops what was staged and not appended. */
  unstage(changes: StagedChanges): Promise<void>;
  /**
   * Appends and publishes one revision.
   * @param changesAt called with the revision at the head, perhaps again; undefined where there is nothing to append
   * @returns the revision, if it was appended
   */
  append(by: Actor, changesAt: (revision: Revision) => StagedChanges | undefined): Promise<Revision | undefined>;
}

const alone: InTurn = (task) => task();

export class ChangeSets {
  constructor(
    private readonly log: GuardedLog,
    private readonly pending: Pick<Pending, "decideAll">,
  ) {}

  /** @throws ChangeSetRefused, and what `GuardedLog` throws */
  async write(by: Actor, changeSet: ChangeSet): Promise<Revision> {
    for (let attempt = 0; attempt < maxOvertaken; attempt++) {
      const revision = await this.attempt(by, changeSet, this.log.inTurn);
      if (revision !== undefined) return revision;
    }
    return this.log.inTurn(async () => {
      // Only another writer of the same log can overtake it now.
      for (;;) {
        const revision = await this.attempt(by, changeSet, alone);
        if (revision !== undefined) return revision;
      }
    });
  }

  /** @returns undefined where it was overtaken */
  private async attempt(by: Actor, changeSet: ChangeSet, inTurn: InTurn): Promise<Revision | undefined> {
    const view = await inTurn(() => this.log.view());
    try {
      const { inventory, revision } = view;
      const decided = await this.pending.decideAll(by, changeSet, inventory, (revision + 1) as Revision);
      if (changeSet.dryRun || decided.changes.length === 0) return revision;
      return await this.append(by, view, decided, inTurn);
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
    const { changes } = decided;
    // Most of them are compared before the turn, which is short then.
    if (decided.footprint && (await inSlices(this.touches(by, view, decided.footprint)))) return undefined;
    try {
      await this.log.stage(changes);
      if (decided.footprint && (await inSlices(this.touches(by, view, decided.footprint)))) return undefined;
      return await inTurn(() =>
        this.log.append(by, (revision) => {
          const { footprint } = decided;
          // It is as large as the index of the edits, and not kept while the changes are stored. Called again, there is a new head.
          decided.footprint = undefined;
          if (!footprint || atOnce(this.touches(by, view, footprint))) return undefined;
          view.close();
          return changes.at(revision);
        }),
      );
    } finally {
      await this.log.unstage(changes);
    }
  }

  private *touches({ quota }: Actor, { overtaking }: HeadView, footprint: Footprint): Steps<boolean> {
    if (quota && overtaking.hasVms) return true;
    return yield* overtaking.touches(footprint, this.log.current);
  }
}
