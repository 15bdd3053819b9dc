// Messages of the event stream. Pure.
import type { BookmarkCloudEvent, CloudEvent, OperationalCloudEvent } from "../../schema/events/index.ts";

/** A change, or an operational event, which has no revision. */
export type StreamEvent = CloudEvent | OperationalCloudEvent;

export const isBookmark = (event: StreamEvent | BookmarkCloudEvent): event is BookmarkCloudEvent =>
  event.type === "nearmiss.bookmark";
export const isChange = (event: StreamEvent): event is CloudEvent => !("operational" in event);
