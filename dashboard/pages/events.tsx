// The log as it grows, and back in time.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CloudEvent } from "../../schema/events.ts";
import { formatCount } from "../format.ts";
import { type EventFilter, passes } from "../live/describe.ts";
import { isChange, type StreamEvent } from "../live/events.ts";
import { happenings } from "../live/happenings.ts";
import { byTime } from "../live/order.ts";
import { listenToStream } from "../live/stream.ts";
import { EventList } from "../parts/event-list.tsx";
import { LogEnd, useLog } from "../parts/history.tsx";
import { Empty, Failure, PageHead } from "../parts/states.tsx";
import { place, refine } from "../router.ts";

const backfill = 100;
/** More are not drawn at a time: who wants older ones goes back in time. */
const shownAtMost = 200;

export function EventsPage() {
  const { query } = place.value;
  const at = query.get("at") ?? "";
  const filter: EventFilter = {
    kind: query.get("kind") ?? "",
    network: query.get("network") ?? "",
    host: query.get("host") ?? "",
    name: query.get("name") ?? "",
  };
  const key = JSON.stringify({ filter, at });
  return (
    <>
      <PageHead title="Events" />
      <Controls filter={filter} at={at} />
      {at === "" ? <Live key={key} filter={filter} /> : <Past key={key} filter={filter} at={at} />}
    </>
  );
}

const kinds = {
  "": "All",
  vm: "VMs",
  host: "Hosts",
  network: "Networks",
  operational: "Operational",
} as const;
const fields = ["name", "network", "host"] as const;
const titles = { name: "Name", network: "Network", host: "Host" } as const;

function Controls({ filter, at }: { readonly filter: EventFilter; readonly at: string }) {
  const change = (more: Partial<EventFilter> & { readonly at?: string }) => refine({ ...filter, at, ...more });
  return (
    <search class="filters">
      <label class="filter">
        <span>Kind</span>
        <select value={filter.kind} onChange={({ currentTarget }) => change({ kind: currentTarget.value })}>
          {Object.entries(kinds).map(([kind, title]) => (
            <option key={kind} value={kind}>
              {title}
            </option>
          ))}
        </select>
      </label>
      {fields.map((field) => (
        <label key={field} class="filter">
          <span>{titles[field]}</span>
          <input
            type="search"
            value={filter[field]}
            placeholder="any"
            spellcheck={false}
            autocomplete="off"
            onChange={({ currentTarget }) => change({ [field]: currentTarget.value.trim() })}
          />
        </label>
      ))}
      <form
        class="filter-go"
        onSubmit={(event) => {
          event.preventDefault();
          const revision = new FormData(event.currentTarget).get("revision");
          if (/^\d{1,15}$/.test(String(revision))) change({ at: String(revision) });
        }}
      >
        <label class="filter">
          <span>Back to revision</span>
          <input
            name="revision"
            inputMode="numeric"
            pattern="\d{1,15}"
            defaultValue={at}
            key={at}
            placeholder="now"
            autocomplete="off"
          />
        </label>
        <button type="submit">Go</button>
      </form>
    </search>
  );
}

function logFilter({ kind, network, host, name }: EventFilter) {
  return { kind, network, host, name };
}

function Live({ filter }: { readonly filter: EventFilter }) {
  const onlyHappenings = filter.kind === "operational";
  const [fresh, setFresh] = useState<readonly CloudEvent[]>([]);
  /** What was shown when it was paused. */
  const [paused, setPaused] = useState<readonly StreamEvent[]>();
  useEffect(
    () =>
      listenToStream({
        onEvents: (events) => {
          const fitting = events.filter((event) => isChange(event)).filter((event) => passes(filter, event));
          if (fitting.length > 0) setFresh((before) => [...fitting.toReversed(), ...before].slice(0, shownAtMost));
        },
      }),
    [filter],
  );
  const log = useLog(onlyHappenings ? undefined : logFilter(filter), { limit: backfill });
  const happened = happenings.value;
  const current = useMemo(() => {
    const known = new Set(fresh.map(({ id }) => id));
    const changes = [...fresh, ...log.events.filter(({ id }) => !known.has(id))];
    // An agent that was away tells of what was before what has come since.
    const others = happened
      .filter((event) => passes(filter, event))
      .toReversed()
      .sort((a, b) => (a.time === b.time ? 0 : a.time > b.time ? -1 : 1));
    return byTime(changes, others).slice(0, shownAtMost);
  }, [fresh, log.events, happened, filter]);
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
          {paused ? "Go on" : "Pause"}
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
      {shown.length === 0 && !log.loading && (
        <div class="panel">
          <Empty title={onlyHappenings ? "Nothing has happened lately" : "Nothing fits"}>
            New events appear here as they come.
          </Empty>
        </div>
      )}
      {oldest && !(log.isComplete && shown.length < shownAtMost) && (
        <p class="log-end">
          <button type="button" class="small" onClick={() => refine({ ...filter, at: String(oldest.revision) })}>
            Older
          </button>
        </p>
      )}
    </>
  );
}

function Past({ filter, at }: { readonly filter: EventFilter; readonly at: string }) {
  const hasNone = filter.kind === "operational";
  // `before` leaves its revision out, and the one that is asked for is to be seen.
  const log = useLog(hasNone ? undefined : logFilter(filter), { limit: backfill, before: String(Number(at) + 1) });
  return (
    <>
      <div class="live-bar">
        <button type="button" class="primary" onClick={() => refine({ ...filter })}>
          Back to live
        </button>
        <p role="status">As it was at revision {formatCount(Number(at))}, newest first</p>
      </div>
      {log.error && <Failure error={log.error} />}
      {hasNone && (
        <div class="panel">
          <Empty title="What happens on hosts has no revision">
            The controller keeps the last 1,024, which are live.
          </Empty>
        </div>
      )}
      {log.isComplete && log.events.length === 0 && (
        <div class="panel">
          <Empty title="Nothing fits before this revision" />
        </div>
      )}
      {log.events.length > 0 && <EventList events={log.events} details />}
      <LogEnd log={log} />
    </>
  );
}
