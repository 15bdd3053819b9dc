// Messages of the event stream. Pure.
import type { BookmarkCloudEvent } from "../../schema/event-stream.ts";
import type { CloudEvent } from "../../schema/events.ts";
import type { OperationalCloudEvent } from "../../schema/operational.ts";

/** A change, or what happened on a host and has no revision. */
export type StreamEvent = CloudEvent | HappeningEvent;
export type HappeningEvent = OperationalCloudEvent;

export const isBookmark = (event: StreamEvent | BookmarkCloudEvent): event is BookmarkCloudEvent =>
  event.type === "nearmiss.bookmark";
/** Not what happened on a host, which has no revision. */
export const isChange = (event: StreamEvent): event is CloudEvent => !("operational" in event);
