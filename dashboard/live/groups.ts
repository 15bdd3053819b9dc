// Bursts of like events as one: adjacent events of one type, whose change is of the same fields, or that hosts report of themselves. Pure.
import { fieldChanges } from "./describe.ts";
import { isChange, type StreamEvent } from "./events.ts";

/** Fewer are listed one by one. */
const minAlike = 4;

export type EventGroup = readonly [StreamEvent, ...StreamEvent[]];

/** In the order given; most have one event. */
export function groupAlike(events: readonly StreamEvent[]): EventGroup[] {
  const groups: EventGroup[] = [];
  let run: StreamEvent[] = [];
  const close = () => {
    const [first, ...rest] = run;
    if (first && run.length >= minAlike) groups.push([first, ...rest]);
    else groups.push(...run.map((each): EventGroup => [each]));
    run = [];
  };
  let before = "";
  for (const event of events) {
    const likeness = likenessOf(event);
    if (likeness !== before) close();
    before = likeness;
    run.push(event);
  }
  close();
  return groups;
}

function likenessOf(event: StreamEvent): string {
  if (!isChange(event)) return event.type;
  if (!event.type.endsWith(".updated")) return event.type;
  const fields = fieldChanges(event).map(({ field }) => field);
  return `${event.type} ${fields.sort().join(" ")}`;
}
