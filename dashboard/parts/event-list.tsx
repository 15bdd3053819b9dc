import type { CloudEvent } from "../../schema/events.ts";
import type { OperationalCloudEvent } from "../../schema/operational.ts";
import { formatTime } from "../format.ts";
import { fieldChanges, operationalText, summary } from "../live/describe.ts";
import { isChange, type StreamEvent } from "../live/events.ts";
import { href } from "../router.ts";
import { Prose } from "./prose.tsx";

/** Events as the log and the stream have them, in the order given. */
export function EventList({
  events,
  details = false,
}: {
  readonly events: readonly StreamEvent[];
  readonly details?: boolean;
}) {
  return (
    <ol class="events">
      {events.map((event) => (
        <EventRow key={`${event.source} ${event.id}`} event={event} details={details} />
      ))}
    </ol>
  );
}

const marks: Readonly<Record<string, string>> = { created: "+", updated: "~", deleted: "−" };
/** Nothing to look into. */
const calm: ReadonlySet<string> = new Set(["host-connected", "move-confirmed"]);

function EventRow({ event, details }: { readonly event: StreamEvent; readonly details: boolean }) {
  const [, kind = "", what = ""] = event.type.split(".");
  const [plural = "", name = ""] = event.subject.split("/");
  const change = isChange(event) ? event : undefined;
  return (
    <li class={`event event-${change ? what : calm.has(what) ? "calm" : "operational"}`}>
      <time dateTime={event.time}>{formatTime(event.time)}</time>
      <span class="event-revision" title={change ? "Revision" : "Not in the log"}>
        {change ? change.revision : "–"}
      </span>
      <span class="event-what">
        <span class="event-mark" aria-hidden="true">
          {marks[what] ?? (calm.has(what) ? "✓" : "!")}
        </span>
        <span>{titleOf(kind, what)}</span>
      </span>
      <span class="event-text">
        <a href={href([plural, name])}>{name}</a>{" "}
        <bdi class="event-summary">
          {change ? summary(change) : <Prose text={operationalText(event as OperationalCloudEvent)} />}
        </bdi>
        {details && change && <Fields event={change} />}
      </span>
    </li>
  );
}

/** "VM updated", "Host lost". */
function titleOf(kind: string, what: string): string {
  if (kind === "vm") return `VM ${what}`;
  const words = kind === "operational" ? what.replaceAll("-", " ") : `${kind} ${what}`;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
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
