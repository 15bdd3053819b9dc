// What happens on hosts and is no inventory: the last of it, in memory, and live. It has no revision and is not in the log;
// a restart of the controller begins a new run with sequence 1.
import { randomUUID } from "node:crypto";
import { type OperationalCloudEvent, type OperationalEvent, toOperationalCloudEvent } from "../../schema/index.ts";

/** Older ones are forgotten. */
const defaultKept = 1_024;

/** `message` is the event's CloudEvent as text, made once for all. */
export type OperationalListener = (event: OperationalEvent, message: string) => void;

export class OperationalEvents {
  /** Sequences of different runs are not comparable. */
  readonly run = randomUUID();
  private readonly ring: OperationalEvent[] = [];
  private readonly listeners = new Set<OperationalListener>();
  private sequence = 0;

  constructor(
    private readonly epoch: string,
    private readonly kept = defaultKept,
  ) {}

  publish(what: Omit<OperationalEvent, "sequence">): void {
    this.sequence += 1;
    const event = { sequence: this.sequence, ...what };
    this.ring[(this.sequence - 1) % this.kept] = event;
    if (this.listeners.size === 0) return;
    const message = JSON.stringify(this.toCloudEvent(event));
    for (const listener of this.listeners) listener(event, message);
  }

  /** Those behind `after` that are still kept, in order. */
  list(after = 0): OperationalEvent[] {
    const first = Math.max(after, this.sequence - this.kept) + 1;
    const count = Math.max(0, this.sequence - first + 1);
    return Array.from({ length: count }, (_, i) => this.ring[(first + i - 1) % this.kept]).filter(
      (event) => event !== undefined,
    );
  }

  toCloudEvent(event: OperationalEvent): OperationalCloudEvent {
    return toOperationalCloudEvent(event, this.epoch, this.run);
  }

  /** From now on. @returns what ends the subscription */
  subscribe(listener: OperationalListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
