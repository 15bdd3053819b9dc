// A list that the server pages and filters: only the rows on the screen are fetched.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { withQuery } from "../api.ts";
import { changes, useResource } from "../live/resource.ts";
import { describeTotal, totalEveryMs, useTotal } from "../live/total.ts";
import { refine } from "../router.ts";
import { type Choice, ChoiceField, choiceOf } from "./choices.tsx";
import type { Column } from "./column.ts";
import { type Filter, FilterField, useSearch } from "./filters.tsx";
import { SortField, SortHeading, sortOf } from "./sort.tsx";
import { Empty, Failure } from "./states.tsx";

export interface TableProps<Row> {
  /** Accessible name. */
  readonly title: string;
  /** In paths and answers, such as `vms`. */
  readonly plural: string;
  readonly kinds: readonly string[];
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  /** In addition to the text of the fields above. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly filters: readonly Filter[];
  readonly choices?: readonly Choice[];
  /** In counts, such as "VM". */
  readonly noun: string;
  readonly empty: ComponentChildren;
  /** Fetched at this interval in addition to changes, for values without events. */
  readonly everyMs?: number;
}

interface Trail {
  readonly base: string | undefined;
  readonly cursors: readonly string[];
}

type Page<Row> = Readonly<Record<string, readonly Row[] | string | number | undefined>> & {
  readonly next?: string;
  readonly total?: number;
};

const pageSize = 50;

export function ServerTable<Row>(props: TableProps<Row>) {
  const { title, plural, kinds, columns, keyOf, fixed = {}, filters, choices = [], noun, empty, everyMs } = props;
  const search = useSearch(filters);
  const { isBehind } = search;
  const { chosen, isChosen } = choiceOf(choices);
  const isWritten = search.isWritten || isChosen;
  const asked = search.asked && { ...search.asked, ...chosen };
  const sort = sortOf(columns);
  const base = asked && withQuery(`/v1/${plural}`, { ...fixed, ...asked, sort, limit: pageSize });
  // Cursors of the pages before this one: a cursor leads onward only.
  const [trail, setTrail] = useState<Trail>({ base, cursors: [] });
  const cursors = trail.base === base ? trail.cursors : [];
  // Another search starts at its first page, also when the user returns to it.
  useEffect(() => setTrail({ base, cursors: [] }), [base]);
  const cursor = cursors.at(-1);
  const path = cursor === undefined ? base : `${base}&cursor=${encodeURIComponent(cursor)}`;
  const [loaded] = useResource<Page<Row>>(path, {
    // An order is made of all that match: not at each change of many.
    ...(sort === "" || plural !== "vms" ? { changedBy: changes(...kinds) } : {}),
    ...(everyMs ? { everyMs } : {}),
  });
  const total = useTotal(asked && withQuery(`/v1/${plural}`, { ...fixed, ...asked, limit: 1, total: "true" }), {
    changedBy: isWritten || Object.keys(fixed).length > 0 ? () => false : changes(...kinds),
    everyMs: totalEveryMs,
  });
  const rows = loaded.kind === "ready" ? ((loaded.value[plural] ?? []) as readonly Row[]) : [];
  const next = loaded.kind === "ready" && loaded.path === path ? loaded.value.next : undefined;
  const turn = (to: readonly string[]) => setTrail({ base, cursors: to });

  return (
    <div class="table-block">
      {filters.length > 0 && (
        <search class="filters">
          {filters.map((filter) => (
            <FilterField key={filter.key} filter={filter} />
          ))}
          {choices.map((choice) => (
            <ChoiceField key={choice.key} choice={choice} />
          ))}
          <SortField columns={columns} sort={sort} />
        </search>
      )}
      {rows.length > 0 && (
        <p class="panel-note" role="status">
          {total === undefined ? "Counting…" : describeTotal(total, noun, isWritten)}
        </p>
      )}
      {loaded.kind === "failed" && <Failure error={loaded.error} />}
      {loaded.kind === "loading" && asked && <p class="loading">Loading…</p>}
      {(loaded.kind === "ready" || !asked) &&
        rows.length === 0 &&
        (isWritten ? (
          <Empty title={asked ? "Nothing matches" : "Nothing is searched for yet"}>
            <button type="button" class="small" onClick={() => refine({})}>
              Clear the search
            </button>
          </Empty>
        ) : (
          empty
        ))}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        <section class={isBehind ? "scroll behind" : "scroll"} tabIndex={0} aria-label={title}>
          <table class="table">
            <thead>
              <tr>
                {columns.map((column) => (
                  <SortHeading key={column.title} column={column} sort={sort} />
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={keyOf(row)}>
                  {columns.map(({ title: heading, isNumber, cell }) => (
                    <td key={heading} data-title={heading} class={isNumber ? "number" : undefined}>
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
