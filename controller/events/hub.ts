// The log of changes, live: each revision's events as texts, made once for all consumers.
import { changeDataVersion, type Revision, toCloudEvent } from "../../schema/index.ts";
import { type Committer, isLarge } from "../committer.ts";
import type { Commit } from "../store/store.ts";

export interface EventListener {
  /** The events of a revision, as soon as it is published. */
  events(messages: readonly string[]): void;
  /** More was published behind `since` than goes out at once: it is to be read from the log. Ends the subscription. */
  behind(since: Revision): void;
}

export class EventHub {
  private readonly listeners = new Set<EventListener>();

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

  /** Events behind the present `revision`. @returns what ends the subscription */
  subscribe(listener: EventListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private publish(commit: Commit): void {
    if (this.listeners.size === 0) return;
    const { revision, time, changes } = commit;
    if (isLarge(commit)) {
      const listeners = [...this.listeners];
      this.listeners.clear();
      for (const listener of listeners) listener.behind((revision - 1) as Revision);
      return;
    }
    const messages = changes.map((change, index) =>
      JSON.stringify(toCloudEvent({ revision, index, time, dataVersion: changeDataVersion, change }, this.epoch)),
    );
    for (const listener of this.listeners) listener.events(messages);
  }
}
