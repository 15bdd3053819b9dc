import type { LoggedEvent, Revision } from "../../schema/index.ts";
import type { LogPosition, Store } from "../store/store.ts";

/**
 * Hands out the log behind `since` page by page, until nothing published is left. When the promise resolves, whatever
 * `finish` did happened in the same turn as the last look at `published`: a subscription made there has no gap and no
 * duplicate at its seam.
 */
export async function catchUp(
  source: { readonly store: Pick<Store, "readEvents">; readonly published: () => Revision; readonly pageSize: number },
  since: Revision,
  take: (page: readonly LoggedEvent[]) => Promise<void>,
  finish: () => void,
): Promise<void> {
  let position: LogPosition = { revision: since, index: Number.MAX_SAFE_INTEGER };
  for (;;) {
    const upTo = source.published();
    const page = await source.store.readEvents(position, upTo, source.pageSize);
    const last = page.at(-1);
    if (last) {
      position = last;
      await take(page);
    }
    // What was published while a page was read or sent needs another look.
    if (page.length < source.pageSize && source.published() === upTo) return finish();
  }
}
