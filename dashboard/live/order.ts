// Events of both kinds in an order: changes by the log, operational events by run and sequence. Pure.
import type { CloudEvent, OperationalCloudEvent } from "../../schema/events/index.ts";
import type { StreamEvent } from "./events.ts";

/** As many as the controller keeps. */
const keptAtMost = 1_024;

/** Each once; an earlier run of the controller before a later one. */
export function merged(
  known: readonly OperationalCloudEvent[],
  more: readonly OperationalCloudEvent[],
): readonly OperationalCloudEvent[] {
  const runs = new Map<string, Map<string, OperationalCloudEvent>>();
  for (const event of [...known, ...more]) {
    const run = runs.get(event.run) ?? new Map<string, OperationalCloudEvent>();
    runs.set(event.run, run.set(event.sequence, event));
  }
  const inOrder = [...runs.values()].flatMap((run) =>
    [...run.values()].sort((a, b) => (a.sequence < b.sequence ? -1 : 1)),
  );
  return inOrder.slice(-keptAtMost);
}

/** Each once, newest first, even if log and stream overlap. */
export function newestFirst(...lists: readonly (readonly CloudEvent[])[]): CloudEvent[] {
  const all = new Map(lists.flat().map((change) => [change.id, change]));
  return [...all.values()].sort((a, b) => b.revision - a.revision || b.index - a.index);
}

/** Merges both, newest first: changes stay in the order of the log, even if the clock was changed in between. */
export function byTime(changes: readonly CloudEvent[], operational: readonly OperationalCloudEvent[]): StreamEvent[] {
  const all: StreamEvent[] = [];
  let next = 0;
  for (const change of changes) {
    for (let each = operational[next]; each && each.time > change.time; each = operational[next]) {
      all.push(each);
      next += 1;
    }
    all.push(change);
  }
  return [...all, ...operational.slice(next)];
}
