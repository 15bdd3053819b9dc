// The log of changes, live: each revision's events as texts, made once for all consumers that may see everything.
import {
  changeDataVersion,
  type NetworkScope,
  type ResourceChange,
  type Revision,
  toCloudEvent,
} from "../../schema/index.ts";
import { type Committer, isLarge } from "../committer.ts";
import { narrowChange } from "../inventory/scope.ts";
import type { Commit } from "../store/store.ts";

export interface EventListener {
  /** The events of a revision, as soon as it is published. */
  events(messages: readonly string[]): void;
  /** More was published behind `since` than goes out at once: it is to be read from the log. Ends the subscription. */
  behind(since: Revision): void;
}

export class EventHub {
  private readonly listeners = new Map<EventListener, NetworkScope>();

  constructor(
    private readonly committer: Committer,
    private readonly epoch: string,
  ) {
    committer.subscribe((commit) => this.publish(commit));
  }

  /** Events up to here have been published. */
  get revision(): Revision {
    return this.committer.revision;
  }

  /** Events behind the present `revision`, as seen from within `scope`. @returns what ends the subscription */
  subscribe(scope: NetworkScope, listener: EventListener): () => void {
    this.listeners.set(listener, scope);
    return () => this.listeners.delete(listener);
  }

  private publish(commit: Commit): void {
    if (this.listeners.size === 0) return;
    const { revision, time, changes } = commit;
    if (isLarge(commit)) {
      const listeners = [...this.listeners.keys()];
      this.listeners.clear();
      for (const listener of listeners) listener.behind((revision - 1) as Revision);
      return;
    }
    const textOf = (change: ResourceChange, index: number) =>
      JSON.stringify(toCloudEvent({ revision, index, time, dataVersion: changeDataVersion, change }, this.epoch));
    let whole: string[] | undefined;
    for (const [listener, scope] of this.listeners) {
      if (scope === "all") {
        whole ??= changes.map(textOf);
        listener.events(whole);
        continue;
      }
      const seen = changes.flatMap((change, index) => {
        const narrowed = narrowChange(scope, change);
        return narrowed ? textOf(narrowed, index) : [];
      });
      if (seen.length > 0) listener.events(seen);
    }
  }
}
