// The log as it grows, and back in time.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCount } from "../format.ts";
import { type EventFilter, passes } from "../live/describe.ts";
import { isChange, listenToStream, type StreamEvent } from "../live/stream.ts";
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
      <PageHead title="Live events" />
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
  operational: "What happened on hosts",
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
  return { kind, network, host, ...(kind === "operational" ? {} : { name }) };
}

function Live({ filter }: { readonly filter: EventFilter }) {
  const onlyHappenings = filter.kind === "operational";
  const [fresh, setFresh] = useState<readonly StreamEvent[]>([]);
  const [held, setHeld] = useState<readonly StreamEvent[]>([]);
  const [paused, setPaused] = useState(false);
  const isPaused = useRef(false);
  useEffect(
    () =>
      listenToStream({
        onEvents: (events) => {
          const fitting = events.filter((event) => passes(filter, event)).reverse();
          if (fitting.length === 0) return;
          const add = (before: readonly StreamEvent[]) => [...fitting, ...before].slice(0, shownAtMost);
          if (isPaused.current) setHeld(add);
          else setFresh(add);
        },
      }),
    [filter],
  );
  const pause = () => {
    isPaused.current = !paused;
    setPaused(!paused);
    if (!paused) return;
    setFresh((before) => [...held, ...before].slice(0, shownAtMost));
    setHeld([]);
  };
  const log = useLog(onlyHappenings ? { kind: "vm", name: "-" } : logFilter(filter), { limit: backfill });
  const shown = useMemo(() => {
    const known = new Set(fresh.map(({ source, id }) => `${source} ${id}`));
    const past = onlyHappenings ? [] : (log.events as unknown as readonly StreamEvent[]);
    return [...fresh, ...past.filter(({ source, id }) => !known.has(`${source} ${id}`))].slice(0, shownAtMost);
  }, [fresh, log.events, onlyHappenings]);
  const oldest = shown.filter(isChange).at(-1);
  return (
    <>
      <div class="live-bar">
        <button type="button" aria-pressed={paused} onClick={pause}>
          {paused ? "Go on" : "Pause"}
        </button>
        <p role="status">
          {paused
            ? held.length === 0
              ? "Paused"
              : `Paused: ${held.length >= shownAtMost ? `more than ${shownAtMost}` : held.length} new`
            : `Live: ${formatCount(shown.length)} shown, newest first`}
        </p>
      </div>
      {log.error && <Failure error={log.error} />}
      {shown.length === 0 && !log.loading ? (
        <Empty title={onlyHappenings ? "Nothing has happened since this page was opened" : "Nothing fits"}>
          New events appear here as they come.
        </Empty>
      ) : (
        <EventList events={shown} details />
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
  // `before` leaves its revision out, and the one that is asked for is to be seen.
  const log = useLog(logFilter(filter), { limit: backfill, before: String(Number(at) + 1) });
  return (
    <>
      <div class="live-bar">
        <button type="button" class="primary" onClick={() => refine({ ...filter })}>
          Back to live
        </button>
        <p role="status">As it was at revision {at}, newest first</p>
      </div>
      {log.error && <Failure error={log.error} />}
      {log.isComplete && log.events.length === 0 ? (
        <Empty title="Nothing fits before this revision" />
      ) : (
        <EventList events={log.events} details />
      )}
      <LogEnd log={log} />
    </>
  );
}
