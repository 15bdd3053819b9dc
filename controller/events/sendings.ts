// Log entries, bookmarks and operational events as messages of the stream.
import type { Revision } from "../../schema/address/index.ts";
import { type EventCursor, type LoggedEvent, toBookmark, toCloudEvent } from "../../schema/events/index.ts";
import type { Sending } from "./framing.ts";

export function sendingOf(event: LoggedEvent, epoch: string): Sending {
  const cursor: EventCursor = { epoch, revision: event.revision, index: event.index };
  return { text: JSON.stringify(toCloudEvent(event, epoch)), cursor };
}

export function bookmarkSending(revision: Revision, epoch: string, now: Date): Sending {
  return { text: JSON.stringify(toBookmark(revision, epoch, now)), cursor: { epoch, revision }, isBookmark: true };
}
