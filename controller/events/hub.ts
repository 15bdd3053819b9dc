// The log of changes, live: each revision's events as texts, made once for all consumers.
import { changeDataVersion, type Revision, toCloudEvent } from "../../schema/index.ts";
import type { Committer } from "../committer.ts";
import type { Commit } from "../store/store.ts";

/** Told of each published revision in order. */
export type EventListener = (messages: readonly string[]) => void;

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

  private publish({ revision, time, changes }: Commit): void {
    if (this.listeners.size === 0) return;
    const messages = changes.map((change, index) =>
      JSON.stringify(toCloudEvent({ revision, index, time, dataVersion: changeDataVersion, change }, this.epoch)),
    );
    for (const listener of this.listeners) listener(messages);
  }
}
