// What others have changed since the head that a change set is decided on, until it is appended or decided anew.

import type { ResourceChange } from "../../schema/events/index.ts";
import type { Changes } from "../inventory/changes.ts";
import type { Footprint } from "../inventory/footprint.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Steps } from "../inventory/steps.ts";

/** Of these, at most so many wait to be compared: some megabytes. With more, the change set is decided anew. */
const maxKept = 10_000;

export class Overtaking {
  /** Those that are not compared yet. */
  private changes: ResourceChange[] = [];
  private isBeyond = false;
  private hasAny = false;
  private hasAnyVm = false;

  get isEmpty(): boolean {
    return !this.hasAny;
  }

  /** In the order of the log. */
  add(changes: Changes): void {
    this.hasAny ||= changes.length > 0;
    this.isBeyond ||= this.changes.length + changes.length > maxKept;
    if (this.isBeyond) {
      this.changes = [];
      return;
    }
    for (const change of changes) {
      this.changes.push(change);
      this.hasAnyVm ||= change.kind === "vm";
    }
  }

  /** Whether one of them, behind those that were compared before, touches what the decision rests on. */
  *touches(footprint: Footprint, now: Inventory): Steps<boolean> {
    let compared = 0;
    // Others come in between.
    for (; compared < this.changes.length; compared++) {
      yield;
      const change = this.changes[compared];
      if (change && footprint.isTouchedBy(change, now)) return true;
    }
    this.changes = [];
    return this.isBeyond || !(this.isEmpty || footprint.fitsIn(now));
  }

  /** Whether one of them counts for a quota. */
  get hasVms(): boolean {
    return this.isBeyond || this.hasAnyVm;
  }
}
