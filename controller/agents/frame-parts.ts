// Frames with many items: some of them in each turn, so that a frame of 900 keys does not delay other hosts.
import type { FairTurns } from "../../common/cooperative.ts";

/** Handles the first part in this turn. @returns a promise if there are more parts */
export function inParts<Item>(
  items: readonly Item[],
  itemsPerTurn: number,
  turns: FairTurns,
  handle: (part: readonly Item[]) => void,
): Promise<void> | undefined {
  if (items.length <= itemsPerTurn) {
    handle(items);
    return undefined;
  }
  handle(items.slice(0, itemsPerTurn));
  return handleRest(items, itemsPerTurn, turns, handle);
}

async function handleRest<Item>(
  items: readonly Item[],
  itemsPerTurn: number,
  turns: FairTurns,
  handle: (part: readonly Item[]) => void,
): Promise<void> {
  for (let from = itemsPerTurn; from < items.length; from += itemsPerTurn) {
    await turns.run(() => handle(items.slice(from, from + itemsPerTurn)));
  }
}
