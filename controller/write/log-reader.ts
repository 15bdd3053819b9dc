// Revisions that other writers have appended to the log, read back from the store.
import type { Revision } from "../../schema/address/index.ts";
import type { LoggedEvent } from "../../schema/events/index.ts";
import type { Commit, LogPosition, Store } from "../store/store.ts";

/** Events of one page. */
const pageSize = 1_000;

/**
 * Every revision behind `after`, up to `upTo`, whole and in order.
 * @throws Error where one is missing; what `Store.readEvents` throws
 */
export async function* readCommits(
  store: Pick<Store, "readEvents">,
  after: Revision,
  upTo: Revision,
): AsyncGenerator<Commit> {
  let position: LogPosition = { revision: after, index: Number.MAX_SAFE_INTEGER };
  let last: Revision = after;
  let open: LoggedEvent[] = [];
  for (;;) {
    const page = await store.readEvents(position, upTo, pageSize);
    for (const event of page) {
      if (open[0] && event.revision !== open[0].revision) {
        yield commitOf(open);
        open = [];
      }
      if (event.revision > last + 1) throw new Error(`the log has no revision ${last + 1}, but ${event.revision}`);
      last = event.revision;
      open.push(event);
    }
    const end = page.at(-1);
    if (!end) break;
    position = end;
  }
  if (open.length > 0) yield commitOf(open);
  if (last < upTo) throw new Error(`the log ends at revision ${last}, before ${upTo}`);
}

function commitOf(events: readonly LoggedEvent[]): Commit {
  const [first] = events;
  if (!first) throw new Error("a revision without changes");
  return { revision: first.revision, time: first.time, changes: events.map(({ change }) => change) };
}
