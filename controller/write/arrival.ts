// A change set that is accepted and not shown yet. Its VMs are put into the tables of the inventory, where readers do not see them, while
// others write: all but what touches the footprint of the decision, which waits until the change set is shown or taken back.
import { inSlices, type Turns } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { StagedChanges } from "../inventory/changes.ts";
import type { CommittedInventory } from "../inventory/committed-inventory.ts";
import type { TimedRelease } from "../inventory/quarantine.ts";
import type { Pending } from "./pending.ts";

export interface ArrivalParts {
  readonly shown: CommittedInventory;
  readonly pending: Pending;
  readonly slices: (() => Turns) | undefined;
}

export class Arrival {
  /** Settles when all of it is in the tables. */
  readonly whole: Promise<void>;
  /** Releases of addresses that it ends. */
  private readonly ended: TimedRelease[] = [];
  private readonly poolsBefore: number;
  private isShown = false;
  private departure: Promise<void> | undefined;

  /**
   * Begins at once: nothing may be pending.
   * @param isTouchedBy whether the decision rests on what the change is of
   */
  constructor(
    readonly changes: StagedChanges,
    private readonly isTouchedBy: (change: ResourceChange) => boolean,
    private readonly parts: ArrivalParts,
  ) {
    const { shown, pending, slices } = parts;
    this.poolsBefore = pending.poolsMade;
    const steps = shown.arriveSteps(changes, (change) => this.ended.push(...pending.takeAhead(change)));
    // From here on readers see what was before.
    steps.next();
    this.whole = inSlices(steps, slices?.());
  }

  /** It was taken back: it has to be decided anew. */
  get isGone(): boolean {
    return this.departure !== undefined;
  }

  /** Whether the changes of another write have to wait for it. */
  delays(changes: readonly ResourceChange[]): boolean {
    return changes.some((change) => this.isTouchedBy(change));
  }

  /** It is stored as this revision, and readers see it next. */
  async settle(revision: Revision): Promise<void> {
    const { shown, pending } = this.parts;
    const changes = this.changes.at(revision);
    this.isShown = true;
    await inSlices(shown.stampSteps(changes, revision));
    await inSlices(pending.settleSteps(changes, shown, this.poolsBefore));
  }

  /** Takes it back, unless it is shown. */
  async leave(): Promise<void> {
    if (this.isShown) return;
    this.departure ??= this.depart();
    await this.departure;
  }

  private async depart(): Promise<void> {
    const { shown, pending } = this.parts;
    await this.whole;
    await inSlices(shown.departSteps(this.changes));
    await inSlices(pending.giveBackSteps(this.changes, this.ended));
  }
}
