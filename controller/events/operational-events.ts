// Events on hosts that are not part of the inventory: the latest ones, in memory, and live. They have no revision and
// are not in the log; a restart of the controller begins a new run with sequence 1.
import { randomUUID } from "node:crypto";
import {
  type OperationalCloudEvent,
  type OperationalEvent,
  type OperationalKind,
  toOperationalCloudEvent,
} from "../../schema/events/index.ts";

/** Of all hosts together. A host has all of it while it is alone, and an equal share beside others. */
const defaultKept = 1_024;

/** `message` is the event's CloudEvent as text, made once for all. */
export type OperationalListener = (event: OperationalEvent, message: string) => void;

/** Stored events of one host: sequences by kind, the oldest first. */
interface Share {
  readonly byKind: Map<OperationalKind, Set<number>>;
  size: number;
}

export class OperationalEvents {
  /** Sequences of different runs are not comparable. */
  readonly run = randomUUID();
  /** By sequence, in order. */
  private readonly events = new Map<number, OperationalEvent>();
  private readonly shares = new Map<string, Share>();
  private readonly listeners = new Set<OperationalListener>();
  private sequence = 0;

  constructor(
    private readonly epoch: string,
    private readonly kept = defaultKept,
  ) {}

  publish(what: Omit<OperationalEvent, "sequence">): void {
    this.sequence += 1;
    const event = { sequence: this.sequence, ...what };
    this.keep(event);
    if (this.listeners.size === 0) return;
    const message = JSON.stringify(this.toCloudEvent(event));
    for (const listener of this.listeners) listener(event, message);
  }

  /** Those behind `after` that are still kept, in order. */
  list(after = 0): OperationalEvent[] {
    return [...this.events.values()].filter(({ sequence }) => sequence > after);
  }

  toCloudEvent(event: OperationalEvent): OperationalCloudEvent {
    return toOperationalCloudEvent(event, this.epoch, this.run);
  }

  /** From now on. @returns a callback that ends the subscription */
  subscribe(listener: OperationalListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private keep(event: OperationalEvent): void {
    const { host, kind, sequence } = event;
    this.events.set(sequence, event);
    const share = this.shares.get(host) ?? { byKind: new Map<OperationalKind, Set<number>>(), size: 0 };
    this.shares.set(host, share);
    share.byKind.set(kind, (share.byKind.get(kind) ?? new Set()).add(sequence));
    share.size += 1;
    if (this.events.size > this.kept) this.forgetOne();
  }

  /** Of the host with most events the oldest of the kind that it has most of: noise pushes out noise. */
  private forgetOne(): void {
    const largest = mostOf(this.shares, ({ size }) => size);
    if (!largest) return;
    const [host, share] = largest;
    const [kind, sequences] = mostOf(share.byKind, ({ size }) => size) ?? [];
    if (kind === undefined || !sequences) return;
    const [oldest = 0] = sequences;
    this.events.delete(oldest);
    sequences.delete(oldest);
    if (sequences.size === 0) share.byKind.delete(kind);
    share.size -= 1;
    if (share.size === 0) this.shares.delete(host);
  }
}

function mostOf<K, V>(map: ReadonlyMap<K, V>, sizeOf: (value: V) => number): [K, V] | undefined {
  let most: [K, V] | undefined;
  for (const [key, value] of map) if (!most || sizeOf(value) > sizeOf(most[1])) most = [key, value];
  return most;
}
