// The log of one resource, newest first, page by page.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CloudEvent, LogView } from "../../schema/events/index.ts";
import { get, withQuery } from "../api.ts";
import type { StreamEvent } from "../live/events.ts";
import { stream } from "../live/stream.ts";
import { EventList } from "./event-list.tsx";
import { Empty, Failure, Panel } from "./states.tsx";

export interface LogFilter {
  readonly kind?: string;
  readonly name?: string;
  readonly network?: string;
  readonly host?: string;
}

const pageSize = 20;
/** As in `live/resource.ts`. */
const retryMs = 5_000;

export function History({
  of,
  changedBy,
}: {
  readonly of: LogFilter;
  readonly changedBy: (event: StreamEvent) => boolean;
}) {
  const log = useLog(of, { limit: pageSize, changedBy });
  return (
    <Panel title="History">
      {log.error && <Failure error={log.error} />}
      {log.isComplete && log.events.length === 0 ? (
        <Empty title="No changes in the log">Older changes have been removed from the log.</Empty>
      ) : (
        <EventList events={log.events} details />
      )}
      <LogEnd log={log} />
    </Panel>
  );
}

export interface LogPages {
  readonly events: readonly CloudEvent[];
  readonly isComplete: boolean;
  readonly loading: boolean;
  readonly error: Error | undefined;
  /** How far back was searched: a revision. */
  readonly searchedTo: string | undefined;
  readonly older: () => void;
}

interface LogOptions {
  readonly limit: number;
  /** Begin there; absent: at the newest. */
  readonly before?: string;
  /** Whenever something new fits, it is read again. */
  readonly changedBy?: (event: StreamEvent) => boolean;
  /** The caller adds live events, also those of a time without a connection: the log need not be read twice. */
  readonly isFollowed?: boolean;
}

/** @param filter undefined: nothing is asked for */
export function useLog(filter: LogFilter | undefined, options: LogOptions): LogPages {
  const { limit, before, changedBy, isFollowed = false } = options;
  const [pages, setPages] = useState<readonly LogView[]>([]);
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState<Error>();
  const path = (from: string | undefined) => withQuery("/v1/log", { ...filter, limit, before: from });
  const first = path(before);

  const load = async (
    from: string | undefined,
    then: (page: LogView) => void,
    signal?: AbortSignal,
    onFailed?: () => void,
  ) => {
    setLoading(true);
    try {
      then(await get<LogView>(path(from), signal));
      setError(undefined);
    } catch (failed) {
      if (!signal?.aborted && failed instanceof Error) {
        setError(failed);
        onFailed?.();
      }
    }
    setLoading(false);
  };

  // `first` says all that it depends on.
  useEffect(() => {
    setPages([]);
    if (!filter) return;
    const abort = new AbortController();
    let isRead = false;
    const take = (page: LogView) => {
      isRead = true;
      setPages([page]);
    };
    let retry: ReturnType<typeof setTimeout> | undefined;
    const begin = () => {
      clearTimeout(retry);
      const onFailed = () => {
        retry = setTimeout(begin, retryMs);
      };
      void load(before, take, abort.signal, onFailed);
    };
    begin();
    const stop = stream.listen({
      onEvents: (events) => {
        if (changedBy && events.some(changedBy)) begin();
      },
      onResumed: () => {
        if (!(isFollowed && isRead)) begin();
      },
    });
    return () => {
      abort.abort();
      clearTimeout(retry);
      stop();
    };
  }, [first, filter === undefined]);

  const next = pages.at(-1)?.next;
  return {
    events: useMemo(() => pages.flatMap(({ events }) => events), [pages]),
    isComplete: pages.length > 0 && next === undefined,
    loading,
    error,
    searchedTo: next?.split(".")[0],
    older: () => void load(next, (page) => setPages((all) => [...all, page])),
  };
}

export function LogEnd({ log }: { readonly log: LogPages }) {
  const { isComplete, loading, searchedTo, older, events } = log;
  if (isComplete) return events.length === 0 ? null : <p class="log-end">The log begins here.</p>;
  if (searchedTo === undefined) return null;
  return (
    <p class="log-end">
      <button type="button" class="small" disabled={loading} onClick={older}>
        {loading ? "Reading…" : "Older"}
      </button>
      <span>read back to revision {searchedTo}</span>
    </p>
  );
}
