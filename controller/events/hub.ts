// The log of changes, live: each event made into bytes once for all consumers that see it alike, and handed to them in turns
// that leave the event loop to others for as long as they took.
import { Slices } from "../../common/cooperative.ts";
import { every, type Repetition } from "../../common/every.ts";
import type { Revision } from "../../schema/address/index.ts";
import {
  changeDataVersion,
  type EventCursor,
  type LoggedEvent,
  type OperationalEvent,
  type ResourceChange,
} from "../../schema/events/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { mayKnow, viewWithin } from "../auth/view.ts";
import type { Commit, Store } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";
import { Consumer, type ConsumerLimits } from "./consumer.ts";
import { Feed } from "./feed.ts";
import type { Framing } from "./framing.ts";
import type { Lens } from "./lens.ts";
import { LogPages, positionBefore } from "./log-pages.ts";
import type { OperationalEvents } from "./operational-events.ts";
import type { Outlet } from "./outlet.ts";
import { bookmarkSending, sendingOf } from "./sendings.ts";

export interface HubLimits extends ConsumerLimits {
  /** Events read from the log at once. */
  readonly pageSize: number;
}

export interface HubDeps {
  readonly committer: Pick<Committer, "current" | "revision" | "subscribe">;
  readonly operational: Pick<OperationalEvents, "subscribe">;
  readonly store: Pick<Store, "readEvents" | "epoch">;
  readonly limits: HubLimits;
  readonly nowMs: () => number;
}

/** The longest pause between two turns, ms. A quiet stream delays an event by nothing. */
const maxPauseMs = 50;
/** How often limits are checked, ms. */
const checkMs = 250;

export class EventHub {
  private readonly feeds = new Map<string, Feed<Consumer>>();
  private readonly consumers = new Set<Consumer>();
  private readonly pages: LogPages;
  private readonly timers: readonly Repetition[];
  private delivery: "idle" | "due" | "running" = "idle";
  private restUntilMs = 0;

  constructor(private readonly deps: HubDeps) {
    const { committer, operational, limits } = deps;
    this.pages = new LogPages({ ...deps, ...limits });
    committer.subscribe((commit) => this.publish(commit));
    operational.subscribe((event, text) => this.publishOperational(event, text));
    this.timers = [
      every(Math.min(checkMs, limits.maxWaitMs), () => this.check()),
      every(limits.bookmarkMs, () => this.bookmark()),
    ];
  }

  get size(): number {
    return this.consumers.size;
  }

  /** Events up to here have been published. */
  get revision(): Revision {
    return this.deps.committer.revision;
  }

  /** The reason why a consumer cannot continue after the cursor, whatever is still in the log. */
  findObstacle({ epoch, revision }: EventCursor): string | undefined {
    if (epoch !== undefined && epoch !== this.deps.store.epoch) {
      return `the position is of epoch ${epoch}, the log of another: start from GET /v1/export`;
    }
    if (revision <= this.revision) return undefined;
    return `the position ${revision} is beyond the log, at ${this.revision}: start from GET /v1/export`;
  }

  /** Serves a consumer until either side closes. Without a cursor it gets only new events. */
  serve(
    outlet: Outlet,
    view: { readonly lens: Lens; readonly framing: Framing },
    cursor: EventCursor | undefined,
    onError: (error: unknown) => void,
  ): Consumer {
    const { limits, store, nowMs } = this.deps;
    const feed = this.feedFor(view.lens, view.framing);
    const published = () => this.revision;
    const deps = { outlet, feed, pages: this.pages, epoch: store.epoch, limits, published, nowMs, onError };
    const consumer = new Consumer(deps);
    this.consumers.add(consumer);
    outlet.onClosed(() => {
      this.consumers.delete(consumer);
      this.release(feed);
    });
    const obstacle = cursor && this.findObstacle(cursor);
    if (obstacle !== undefined) consumer.end(eventCloseCodes.unknownPosition, obstacle);
    else void consumer.start(cursor);
    return consumer;
  }

  stop(): void {
    for (const timer of this.timers) timer.stop();
    for (const consumer of this.consumers) {
      consumer.end(eventCloseCodes.controllerStopping, "the controller is stopping");
    }
  }

  /** One feed for all consumers with the same view, from the first until the last has left. */
  private feedFor(lens: Lens, framing: Framing): Feed<Consumer> {
    const key = keyOf(lens, framing);
    const feed = this.feeds.get(key) ?? new Feed<Consumer>(lens, framing);
    this.feeds.set(key, feed);
    feed.followers += 1;
    return feed;
  }

  private release(feed: Feed<Consumer>): void {
    feed.followers -= 1;
    if (feed.followers === 0) this.feeds.delete(keyOf(feed.lens, feed.framing));
  }

  private publish(commit: Commit): void {
    if (this.feeds.size === 0) return;
    const { revision, time, changes } = commit;
    const now = this.deps.nowMs();
    if (isLarge(commit)) {
      const range = { after: positionBefore({ revision, index: 0 }), upTo: revision };
      for (const feed of this.feeds.values()) feed.appendRange(range, now);
    } else {
      const events = Array.from(changes, (change, index) => ({
        revision,
        index,
        time,
        dataVersion: changeDataVersion,
        change,
      }));
      this.append(events, now);
    }
    this.deliverSoon();
  }

  private append(events: readonly LoggedEvent[], nowMs: number): void {
    const frameOf = this.sharedFrames();
    for (const feed of this.feeds.values()) this.fill(feed, events, frameOf, nowMs);
  }

  /**
   * What exceeds a part of the limit in bytes at once stays in the log, to be read from there: otherwise a burst would
   * disconnect all consumers, however fast they read.
   */
  private fill(
    feed: Feed<Consumer>,
    events: readonly LoggedEvent[],
    frameOf: ReturnType<EventHub["sharedFrames"]>,
    nowMs: number,
  ): void {
    const atOnceBytes = this.deps.limits.maxBufferedBytes / 4;
    for (const event of events) {
      if (feed.freshBytes > atOnceBytes) {
        feed.appendRange({ after: positionBefore(event), upTo: event.revision }, nowMs);
        return;
      }
      const seen = feed.lens.see(event.change);
      if (seen) feed.append(frameOf(event, seen, feed.framing), nowMs);
    }
  }

  /** Changes that are seen whole become one text, and one frame of each framing. */
  private sharedFrames() {
    const { epoch } = this.deps.store;
    const made = new Map<string, Buffer>();
    return (event: LoggedEvent, seen: ResourceChange, framing: Framing): Buffer => {
      if (seen !== event.change) return framing.frame(sendingOf({ ...event, change: seen }, epoch));
      const key = `${framing.name} ${event.index}`;
      const known = made.get(key);
      if (known) return known;
      const frame = framing.frame(sendingOf(event, epoch));
      made.set(key, frame);
      return frame;
    };
  }

  /** These have no position in the log, so only live consumers get them. */
  private publishOperational(event: OperationalEvent, text: string): void {
    const { committer, nowMs } = this.deps;
    for (const feed of this.feeds.values()) {
      const { lens, framing } = feed;
      if (!lens.passesOccurrence(event) || !mayKnow(viewWithin(lens.scope, committer.current), event)) continue;
      feed.append(framing.frame({ text }), nowMs());
    }
    this.deliverSoon();
  }

  private bookmark(): void {
    const sending = bookmarkSending(this.revision, this.deps.store.epoch, new Date());
    for (const feed of this.feeds.values()) feed.append(feed.framing.frame(sending), this.deps.nowMs());
    this.deliverSoon();
  }

  private deliverSoon(): void {
    if (this.delivery !== "idle" || this.feeds.size === 0) return;
    this.delivery = "due";
    const pauseMs = this.restUntilMs - this.deps.nowMs();
    const deliver = () => void this.deliver();
    if (pauseMs < 1) setImmediate(deliver);
    else setTimeout(deliver, pauseMs);
  }

  /** Pauses for as long as the last round took, so that events of that time are sent in one write per consumer. */
  private async deliver(): Promise<void> {
    const { nowMs } = this.deps;
    this.delivery = "running";
    const startMs = nowMs();
    const slices = new Slices();
    for (const feed of this.feeds.values()) {
      for (const consumer of feed.wake()) {
        consumer.advance();
        if (slices.over) await slices.next();
      }
      feed.trim();
    }
    this.restUntilMs = nowMs() + Math.min(nowMs() - startMs, maxPauseMs);
    this.delivery = "idle";
    if ([...this.feeds.values()].some((feed) => feed.hasNews)) this.deliverSoon();
  }

  private check(): void {
    for (const consumer of this.consumers) consumer.check();
  }
}

function keyOf(lens: Lens, framing: Framing): string {
  return `${framing.name} ${lens.key}`;
}
