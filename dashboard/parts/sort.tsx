// The order of a list: by the headings of its columns, and where these are not shown, by a field.
import { useId } from "preact/hooks";
import { place } from "../router.ts";
import { change } from "./choices.tsx";
import type { Column } from "./column.ts";

/** As the list takes it; empty: by name. */
export function sortOf<Row>(columns: readonly Column<Row>[]): string {
  const wanted = place.value.query.get("sort") ?? "";
  return columns.some(({ sort }) => sort !== undefined && sort === wanted.replace(/^-/, "")) ? wanted : "";
}

export function SortHeading<Row>({ column, sort }: { readonly column: Column<Row>; readonly sort: string }) {
  const { title, isNumber, sort: key } = column;
  const look = isNumber ? "number" : undefined;
  if (key === undefined) {
    return (
      <th scope="col" class={look}>
        {title}
      </th>
    );
  }
  const present = sort === "" ? "name" : sort;
  const direction = present === key ? "ascending" : present === `-${key}` ? "descending" : undefined;
  const mark = direction === undefined ? "" : direction === "ascending" ? " ↑" : " ↓";
  return (
    <th scope="col" class={look} aria-sort={direction ?? "none"}>
      <button type="button" class="sort" onClick={() => change("sort", nextOf(key, direction, isNumber === true))}>
        {title}
        <span aria-hidden="true">{mark}</span>
      </button>
    </th>
  );
}

/** The most first, where it is a number. */
function nextOf(key: string, direction: string | undefined, isNumber: boolean): string {
  const next = direction === undefined ? (isNumber ? `-${key}` : key) : direction === "ascending" ? `-${key}` : key;
  return next === "name" ? "" : next;
}

export function SortField<Row>(props: { readonly columns: readonly Column<Row>[]; readonly sort: string }) {
  const { columns, sort } = props;
  const id = useId();
  const sortable = columns.flatMap(({ title, sort: key }) => (key === undefined ? [] : [{ title, key }]));
  if (sortable.length < 2) return null;
  return (
    <div class="filter filter-sort">
      <label for={id}>Sort by</label>
      <select id={id} value={sort} onChange={({ currentTarget }) => change("sort", currentTarget.value)}>
        {sortable.flatMap(({ title, key }) => [
          <option key={key} value={key === "name" ? "" : key}>
            {title} ↑
          </option>,
          <option key={`-${key}`} value={`-${key}`}>
            {title} ↓
          </option>,
        ])}
      </select>
    </div>
  );
}
