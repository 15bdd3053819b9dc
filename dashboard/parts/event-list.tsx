import type { CloudEvent } from "../../schema/events.ts";
import { formatTime } from "../format.ts";
import { fieldChanges, happening, summary } from "../live/describe.ts";
import { isChange, type StreamEvent } from "../live/stream.ts";
import { href } from "../router.ts";

/** Events as the log and the stream have them, in the order given. */
export function EventList({
  events,
  details = false,
}: {
  readonly events: readonly object[];
  readonly details?: boolean;
}) {
  return (
    <ol class="events">
      {(events as readonly StreamEvent[]).map((event) => (
        <EventRow key={`${event.source} ${event.id}`} event={event} details={details} />
      ))}
    </ol>
  );
}

const marks: Readonly<Record<string, string>> = { created: "+", updated: "~", deleted: "−" };

function EventRow({ event, details }: { readonly event: StreamEvent; readonly details: boolean }) {
  const [, kind = "", what = ""] = event.type.split(".");
  const [plural = "", name = ""] = event.subject.split("/");
  const change = isChange(event) ? event : undefined;
  return (
    <li class={`event event-${change ? what : "operational"}`}>
      <time dateTime={event.time}>{formatTime(event.time)}</time>
      <span class="event-revision" title={change ? "Revision" : "Not in the log"}>
        {change ? change.revision : "–"}
      </span>
      <span class="event-what">
        <span class="event-mark" aria-hidden="true">
          {marks[what] ?? "!"}
        </span>
        {change ? `${kind === "vm" ? "VM" : kind} ${what}` : what.replaceAll("-", " ")}
      </span>
      <span class="event-text">
        <a href={href([plural, name])}>{name}</a>{" "}
        <bdi class="event-summary">{change ? summary(change) : happening(event as never)}</bdi>
        {details && change && <Fields event={change} />}
      </span>
    </li>
  );
}

function Fields({ event }: { readonly event: CloudEvent }) {
  const changed = fieldChanges(event);
  if (changed.length === 0) return null;
  return (
    <details>
      <summary>{changed.length === 1 ? "1 field" : `${changed.length} fields`}</summary>
      <table class="fields">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {changed.map(({ field, before, after }) => (
            <tr key={field}>
              <th scope="row">{field}</th>
              <td>
                <bdi>{before ?? "–"}</bdi>
              </td>
              <td>
                <bdi>{after ?? "–"}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
