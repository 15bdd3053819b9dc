// A set that may be larger than a frame, as pieces that are not.
import { maxFrameBytes } from "./protocol.ts";

/**
 * Splits what may be larger than a frame. Every item must serialize to far less than `maxFrameBytes`.
 * @returns at least one chunk, so that an empty set still has an end
 */
export function chunk<T>(items: Iterable<T>, maxBytes = maxFrameBytes - 1_024): T[][] {
  return [...chunks(items, maxBytes)];
}

/** As `chunk`, one after the other. */
export function* chunks<T>(items: Iterable<T>, maxBytes = maxFrameBytes - 1_024): Generator<T[], void, void> {
  let part: T[] = [];
  let size = 0;
  for (const item of items) {
    const bytes = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (size + bytes > maxBytes && size > 0) {
      yield part;
      part = [];
      size = 0;
    }
    part.push(item);
    size += bytes;
  }
  yield part;
}
