// Messages of the event stream. Pure.
import type { BookmarkCloudEvent } from "../../schema/event-stream.ts";
import type { CloudEvent } from "../../schema/events.ts";
import type { OperationalCloudEvent } from "../../schema/operational.ts";

/** A change, or an operational event, which has no revision. */
export type StreamEvent = CloudEvent | OperationalCloudEvent;

export const isBookmark = (event: StreamEvent | BookmarkCloudEvent): event is BookmarkCloudEvent =>
  event.type === "nearmiss.bookmark";
export const isChange = (event: StreamEvent): event is CloudEvent => !("operational" in event);
