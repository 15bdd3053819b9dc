import { Fragment } from "preact";
import type { CloudEvent, OperationalCloudEvent } from "../../schema/events/index.ts";
import { formatCount, formatTime } from "../format.ts";
import { fieldChanges, operationalText, summary } from "../live/describe.ts";
import { isChange, type StreamEvent } from "../live/events.ts";
import { type EventGroup, groupAlike } from "../live/groups.ts";
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
      {groupAlike(events).map((group) => {
        const [event] = group;
        const key = `${event.source} ${event.id}`;
        return group.length === 1 ? (
          <EventRow key={key} event={event} details={details} />
        ) : (
          <GroupRow key={`group ${key}`} group={group} details={details} />
        );
      })}
    </ol>
  );
}

const marks: Readonly<Record<string, string>> = { created: "+", updated: "~", deleted: "−" };
/** Nothing to look into. */
const calm: ReadonlySet<string> = new Set(["host-connected", "move-confirmed"]);

const kindOf = ({ type }: StreamEvent): readonly [string, string] => {
  const [, kind = "", what = ""] = type.split(".");
  return [kind, what];
};

function classOf(event: StreamEvent): string {
  const [, what] = kindOf(event);
  return `event-${isChange(event) ? what : calm.has(what) ? "calm" : "operational"}`;
}

/** The columns before the text. */
function Head({ event, revisionTitle }: { readonly event: StreamEvent; readonly revisionTitle: string }) {
  const [kind, what] = kindOf(event);
  return (
    <>
      <time dateTime={event.time}>{formatTime(event.time)}</time>
      <span class="event-revision" title={isChange(event) ? revisionTitle : "Not in the log"}>
        {isChange(event) ? event.revision : "–"}
      </span>
      <span class="event-what">
        <span class="event-mark" aria-hidden="true">
          {marks[what] ?? (calm.has(what) ? "✓" : "!")}
        </span>
        <span>{titleOf(kind, what)}</span>
      </span>
    </>
  );
}

/** A burst: what it is of, and all of it where that is wanted. */
function GroupRow({ group, details }: { readonly group: EventGroup; readonly details: boolean }) {
  const [newest, ...older] = group;
  const oldest = older.at(-1) ?? newest;
  const subjects = [...new Set(group.map(({ subject }) => subject))];
  return (
    <li class={`event event-group ${classOf(newest)}`}>
      <Head event={newest} revisionTitle="Revision of the newest" />
      <span class="event-text">
        <span>
          <strong>{formatCount(group.length)} times</strong>,{" "}
          {subjects.slice(0, 3).map((subject, i) => (
            <Fragment key={subject}>
              {i > 0 && ", "}
              <a href={href(subject.split("/"))}>{subject.split("/")[1]}</a>
            </Fragment>
          ))}
          {subjects.length > 3 && ` and ${formatCount(subjects.length - 3)} more`}
          {oldest.time !== newest.time && <span class="event-summary"> since {formatTime(oldest.time)}</span>}
        </span>
        <details>
          <summary>All of them</summary>
          <ol class="events">
            {group.map((event) => (
              <EventRow key={`${event.source} ${event.id}`} event={event} details={details} />
            ))}
          </ol>
        </details>
      </span>
    </li>
  );
}

function EventRow({ event, details }: { readonly event: StreamEvent; readonly details: boolean }) {
  const [plural = "", name = ""] = event.subject.split("/");
  const change = isChange(event) ? event : undefined;
  return (
    <li class={`event ${classOf(event)}`}>
      <Head event={event} revisionTitle="Revision" />
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
