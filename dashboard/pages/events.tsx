// The log as it grows, and back in time.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CloudEvent } from "../../schema/events/index.ts";
import { formatCount } from "../format.ts";
import { type EventFilter, passes } from "../live/describe.ts";
import { isChange, type StreamEvent } from "../live/events.ts";
import { operationalEvents } from "../live/operational-events.ts";
import { byTime, newestFirst } from "../live/order.ts";
import { stream } from "../live/stream.ts";
import { EventList } from "../parts/event-list.tsx";
import { type Filter, FilterField, useSearch } from "../parts/filters.tsx";
import { LogEnd, useLog } from "../parts/history.tsx";
import { hostFilter, networkFilter } from "../parts/rows.tsx";
import { wholeName } from "../parts/search.ts";
import { Empty, Failure, PageHead } from "../parts/states.tsx";
import { place, refine } from "../router.ts";

const backfill = 100;
/** At most so many are drawn at a time: older ones are reached by going back in time. */
const shownAtMost = 200;

export function EventsPage() {
  const { query } = place.value;
  const { asked = {} } = useSearch(filters);
  const wanted = query.get("at") ?? "";
  const at = revisionPattern.test(wanted) ? wanted : "";
  const { name = "", network = "", host = "" } = asked;
  const kind = Object.keys(kinds).find((each) => each === query.get("kind")) ?? "";
  const filter: EventFilter = { kind, network, host, name };
  const key = JSON.stringify({ filter, at });
  return (
    <>
      <PageHead title="Events" />
      <Controls kind={kind} at={at} />
      {at === "" ? <Live key={key} filter={filter} /> : <Past key={key} filter={filter} at={at} />}
    </>
  );
}

const revisionPattern = /^\d{1,15}$/;
const kinds = {
  "": "All",
  vm: "VMs",
  host: "Hosts",
  network: "Networks",
  operational: "Operational",
} as const;
const filters = [
  { key: "name", title: "Name", hint: "any", read: wholeName("name") },
  networkFilter,
  hostFilter,
] as const satisfies readonly Filter[];

/** As the URL has it, with something else of it changed. */
function change(more: Readonly<Record<string, string>>): void {
  refine({ ...Object.fromEntries(place.peek().query), ...more });
}

function Controls({ kind, at }: { readonly kind: string; readonly at: string }) {
  return (
    <search class="filters">
      <div class="filter">
        <label for="event-kind">Kind</label>
        <select id="event-kind" value={kind} onChange={({ currentTarget }) => change({ kind: currentTarget.value })}>
          {Object.entries(kinds).map(([each, title]) => (
            <option key={each} value={each}>
              {title}
            </option>
          ))}
        </select>
      </div>
      {filters.map((filter) => (
        <FilterField key={filter.key} filter={filter} />
      ))}
      <form
        class="filter-go"
        onSubmit={(event) => {
          event.preventDefault();
          const revision = new FormData(event.currentTarget).get("revision");
          if (revisionPattern.test(String(revision))) change({ at: String(revision) });
        }}
      >
        <div class="filter">
          <label for="event-revision">Back to revision</label>
          <input
            id="event-revision"
            name="revision"
            inputMode="numeric"
            pattern="\d{1,15}"
            defaultValue={at}
            key={at}
            placeholder="now"
            autocomplete="off"
          />
        </div>
        <button type="submit">Go</button>
      </form>
    </search>
  );
}

function logFilter({ kind, network, host, name }: EventFilter) {
  return { kind, network, host, name };
}

function Live({ filter }: { readonly filter: EventFilter }) {
  const onlyOperational = filter.kind === "operational";
  const [fresh, setFresh] = useState<readonly CloudEvent[]>([]);
  /** The events on the page when it was paused. */
  const [paused, setPaused] = useState<readonly StreamEvent[]>();
  useEffect(
    () =>
      stream.listen({
        onEvents: (events) => {
          const fitting = events.filter((event) => isChange(event)).filter((event) => passes(filter, event));
          if (fitting.length > 0) setFresh((before) => newestFirst(fitting, before).slice(0, shownAtMost));
        },
      }),
    [filter],
  );
  const log = useLog(onlyOperational ? undefined : logFilter(filter), { limit: backfill, isFollowed: true });
  const operational = operationalEvents.value;
  const current = useMemo(() => {
    const changes = newestFirst(fresh, log.events);
    // An agent that was away tells of what was before what has come since.
    const others = operational
      .filter((event) => passes(filter, event))
      .toReversed()
      .sort((a, b) => (a.time === b.time ? 0 : a.time > b.time ? -1 : 1));
    return byTime(changes, others).slice(0, shownAtMost);
  }, [fresh, log.events, operational, filter]);
  const shown = paused ?? current;
  const missed = paused && current.filter((event) => !paused.includes(event)).length;
  const oldest = shown.filter(isChange).at(-1);
  return (
    <>
      <div class="live-bar">
        <button
          type="button"
          aria-pressed={paused !== undefined}
          onClick={() => setPaused(paused === undefined ? current : undefined)}
        >
          {paused ? "Resume" : "Pause"}
        </button>
        <p role="status">
          {missed === undefined
            ? `Live: ${formatCount(shown.length)} shown, newest first`
            : missed === 0
              ? "Paused"
              : `Paused: ${missed >= shownAtMost ? `${formatCount(shownAtMost)} or more` : formatCount(missed)} new`}
        </p>
      </div>
      {log.error && <Failure error={log.error} />}
      {shown.length > 0 && <EventList events={shown} details />}
      {shown.length === 0 && log.loading && <p class="loading">Loading…</p>}
      {shown.length === 0 && !log.loading && !log.error && (
        <div class="panel">
          <Empty title={emptyTitle(filter)}>New events appear here as they arrive.</Empty>
        </div>
      )}
      {oldest && !(log.isComplete && shown.length < shownAtMost) && (
        <p class="log-end">
          <button type="button" class="small" onClick={() => change({ at: String(oldest.revision) })}>
            Older
          </button>
        </p>
      )}
    </>
  );
}

function emptyTitle({ kind, name, network, host }: EventFilter): string {
  if (name !== "" || network !== "" || host !== "") return "Nothing matches";
  if (kind === "") return "Nothing has changed yet";
  return kind === "operational" ? "Nothing has happened lately" : "Nothing of this kind has changed";
}

function Past({ filter, at }: { readonly filter: EventFilter; readonly at: string }) {
  const hasNone = filter.kind === "operational";
  // `before` leaves its revision out, and the one that is asked for is to be seen.
  const log = useLog(hasNone ? undefined : logFilter(filter), { limit: backfill, before: String(Number(at) + 1) });
  return (
    <>
      <div class="live-bar">
        <button type="button" class="primary" onClick={() => change({ at: "" })}>
          Back to live
        </button>
        <p role="status">As it was at revision {formatCount(Number(at))}, newest first</p>
      </div>
      {log.error && <Failure error={log.error} />}
      {hasNone && (
        <div class="panel">
          <Empty title="Operational events have no revision">
            The controller keeps the last 1,024; return to live to see them.
          </Empty>
        </div>
      )}
      {log.isComplete && log.events.length === 0 && (
        <div class="panel">
          <Empty title="Nothing matches before this revision" />
        </div>
      )}
      {log.events.length > 0 && <EventList events={log.events} details />}
      <LogEnd log={log} />
    </>
  );
}
