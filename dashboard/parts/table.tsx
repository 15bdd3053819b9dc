// A list that the server pages and filters: what is on the screen is all that is fetched.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { withQuery } from "../api.ts";
import { changes, useResource } from "../live/resource.ts";
import { place, refine } from "../router.ts";
import { Icon } from "./icon.tsx";
import { Empty, Failure } from "./states.tsx";

export interface Column<Row> {
  readonly title: string;
  /** Right-aligned, digits of equal width. */
  readonly isNumber?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
}

export interface TableProps<Row> {
  /** Accessible name. */
  readonly title: string;
  /** In paths and answers, such as `vms`. */
  readonly plural: string;
  readonly kinds: readonly string[];
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  /** Beside what the fields above say. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly filters: readonly Filter[];
  readonly empty: ComponentChildren;
  /** Looked at this often beside changes, for what no event tells. */
  readonly everyMs?: number;
}

export interface Filter {
  readonly key: "name" | "network" | "host" | "label";
  readonly title: string;
  readonly hint: string;
  /** What the text asks the controller for, where that is not its own key; undefined: nothing that could be found. */
  readonly sought?: (text: string) => Readonly<Record<string, string>> | undefined;
  /** Said where it asks for nothing that could be found. */
  readonly unfit?: string;
}

type Page<Row> = Readonly<Record<string, readonly Row[] | string | undefined>> & { readonly next?: string };

const pageSize = 50;
/** A word is searched for when its writer pauses. */
const pauseMs = 180;

export function ServerTable<Row>(props: TableProps<Row>) {
  const { title, plural, kinds, columns, keyOf, fixed = {}, filters, empty, everyMs } = props;
  const query = place.value.query;
  const wanted = Object.fromEntries(filters.map(({ key }) => [key, query.get(key) ?? ""]));
  const filtered = Object.values(wanted).some((value) => value !== "");
  const asked = filters.map(({ key, sought }) => {
    const text = wanted[key] ?? "";
    return sought ? sought(text) : { [key]: text };
  });
  const unfit = filters.find((_, i) => asked[i] === undefined)?.unfit;
  const base = withQuery(`/v1/${plural}`, { ...fixed, ...Object.assign({}, ...asked), limit: pageSize });
  // Cursors of the pages before this one: a cursor leads onward only.
  const [trail, setTrail] = useState<{ readonly base: string; readonly cursors: readonly string[] }>({
    base,
    cursors: [],
  });
  const cursors = trail.base === base ? trail.cursors : [];
  // Another search begins at its first page, also when one comes back to it.
  useEffect(() => setTrail({ base, cursors: [] }), [base]);
  const cursor = cursors.at(-1);
  const path = cursor === undefined ? base : `${base}&cursor=${encodeURIComponent(cursor)}`;
  const [loaded] = useResource<Page<Row>>(unfit === undefined ? path : undefined, {
    changedBy: changes(...kinds),
    ...(everyMs ? { everyMs } : {}),
  });
  const rows = loaded.kind === "ready" && unfit === undefined ? ((loaded.value[plural] ?? []) as readonly Row[]) : [];
  const next = loaded.kind === "ready" && loaded.path === path ? loaded.value.next : undefined;
  const turn = (to: readonly string[]) => setTrail({ base, cursors: to });

  return (
    <div class="table-block">
      {filters.length > 0 && (
        <search class="filters">
          {filters.map((filter) => (
            <FilterField key={filter.key} filter={filter} value={wanted[filter.key] ?? ""} />
          ))}
        </search>
      )}
      {loaded.kind === "failed" && <Failure error={loaded.error} />}
      {loaded.kind === "loading" && unfit === undefined && <p class="loading">Loading…</p>}
      {(loaded.kind === "ready" || unfit !== undefined) &&
        rows.length === 0 &&
        (filtered ? (
          <Empty title="Nothing fits">
            {unfit !== undefined && <p>{unfit}</p>}
            <button type="button" class="small" onClick={() => refine({})}>
              Clear the search
            </button>
          </Empty>
        ) : (
          empty
        ))}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        <section class="scroll" tabIndex={0} aria-label={title}>
          <table class="table">
            <thead>
              <tr>
                {columns.map(({ title: heading, isNumber }) => (
                  <th key={heading} scope="col" class={isNumber ? "number" : undefined}>
                    {heading}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={keyOf(row)}>
                  {columns.map(({ title: heading, isNumber, cell }) => (
                    <td key={heading} class={isNumber ? "number" : undefined}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {(next !== undefined || cursors.length > 0) && (
        <nav class="pager" aria-label={`Pages of ${title}`}>
          <span>page {cursors.length + 1}</span>
          <button type="button" class="small" disabled={cursors.length === 0} onClick={() => turn([])}>
            First
          </button>
          <button
            type="button"
            class="small"
            disabled={cursors.length === 0}
            onClick={() => turn(cursors.slice(0, -1))}
          >
            Previous
          </button>
          <button
            type="button"
            class="small"
            disabled={next === undefined}
            onClick={() => next && turn([...cursors, next])}
          >
            Next
          </button>
        </nav>
      )}
    </div>
  );
}

function FilterField({ filter, value }: { readonly filter: Filter; readonly value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  // What is typed here decides when to search; what other fields hold by then belongs to the search.
  useEffect(() => {
    if (text === value) return;
    const search = () => refine({ ...Object.fromEntries(place.peek().query), [filter.key]: text.trim() });
    const timer = setTimeout(search, pauseMs);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class={`filter filter-${filter.key}`}>
      <span>{filter.title}</span>
      <span class="filter-input">
        {filter.key === "name" && <Icon name="search" />}
        <input
          type="search"
          value={text}
          placeholder={filter.hint}
          spellcheck={false}
          autocomplete="off"
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </span>
    </label>
  );
}
