// Data of the controller on a page, kept current: fetched again when the stream reports a change.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, ProblemError } from "../api.ts";
import type { StreamEvent } from "./events.ts";
import { stream } from "./stream.ts";

export type Loaded<T> =
  | { readonly kind: "loading" }
  | { readonly kind: "failed"; readonly error: Error }
  | { readonly kind: "ready"; readonly value: T; readonly path: string };

export interface ResourceOptions {
  /** Which events make a new look worth while; default: none. */
  readonly changedBy?: (event: StreamEvent) => boolean;
  /** Also fetched at this interval, for values without events. */
  readonly everyMs?: number;
}

/** Looks follow each other at this distance at least. */
const restMs = 600;
/** After a refusal that may pass, such as a busy controller's: nothing else might ask again. */
const retryMs = 5_000;

/** `path` undefined: nothing is fetched. While another path loads, the previous data stays. */
export function useResource<T>(path: string | undefined, options: ResourceOptions = {}): [Loaded<T>, () => void] {
  return useLoaded(path, (signal) => get<T>(path ?? "", signal), options);
}

/** The same, for data from several requests. @param path identifies the data: another path loads again */
export function useLoaded<T>(
  path: string | undefined,
  ask: (signal: AbortSignal) => Promise<T>,
  options: ResourceOptions = {},
): [Loaded<T>, () => void] {
  const [loaded, setLoaded] = useState<Loaded<T>>({ kind: "loading" });
  const latest = useRef({ options, ask });
  latest.current = { options, ask };
  const refresh = useRef(() => {});

  useEffect(() => {
    if (path === undefined) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let lastMs = 0;
    let loading = false;
    let again = false;
    const load = async () => {
      loading = true;
      lastMs = Date.now();
      try {
        const value = await latest.current.ask(abort.signal);
        if (abort.signal.aborted) return;
        setLoaded({ kind: "ready", value, path });
      } catch (error) {
        if (abort.signal.aborted || !(error instanceof Error)) return;
        const failed = error;
        // A deleted resource is no longer shown; an unreachable one is, for a while.
        const status = failed instanceof ProblemError ? failed.problem.status : 0;
        const isGone = status === 404;
        if (status >= 500 || status === 429) retry = setTimeout(soon, retryMs);
        setLoaded((before) =>
          before.kind === "ready" && before.path === path && !isGone ? before : { kind: "failed", error: failed },
        );
      }
      loading = false;
      if (again) soon();
    };
    const soon = () => {
      again = loading;
      if (loading || timer !== undefined) return;
      timer = setTimeout(
        () => {
          timer = undefined;
          void load();
        },
        Math.max(0, lastMs + restMs - Date.now()),
      );
    };
    refresh.current = soon;
    void load();
    const { everyMs } = latest.current.options;
    const ticking = everyMs === undefined ? undefined : setInterval(soon, everyMs);
    const stop = stream.listen({
      onEvents: (events) => {
        const { changedBy } = latest.current.options;
        if (changedBy && events.some(changedBy)) soon();
      },
      onResumed: soon,
    });
    return () => {
      abort.abort();
      clearTimeout(timer);
      clearTimeout(retry);
      clearInterval(ticking);
      stop();
    };
  }, [path]);

  return [loaded, () => refresh.current()];
}

/** `nearmiss.vm.updated` → `vm`. */
export function kindOf(event: StreamEvent): string {
  return event.type.split(".")[1] ?? "";
}

export const changes =
  (...kinds: readonly string[]) =>
  (event: StreamEvent): boolean =>
    kinds.includes(kindOf(event));

/** Of one resource. */
export const changesOf =
  (subject: string) =>
  (event: StreamEvent): boolean =>
    event.subject === subject;
