// Fields that filter the list of a page. Their texts are in the URL; the query follows when the user pauses.
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { sentence } from "../format.ts";
import { place, refine } from "../router.ts";
import { Icon } from "./icon.tsx";
import type { Query, Sought } from "./search.ts";

export interface Filter {
  readonly key: "name" | "network" | "host" | "label" | "vm";
  readonly title: string;
  readonly hint: string;
  /** With a magnifying glass, and wider. */
  readonly isMain?: boolean;
  readonly read: (text: string) => Sought;
}

export interface Search {
  /** The query of all fields at the last time when all were complete; undefined: they never were. */
  readonly asked: Query | undefined;
  /** Some field is written in. */
  readonly isWritten: boolean;
  /** A field is incomplete: the query is older than the text. */
  readonly isBehind: boolean;
}

export function useSearch(filters: readonly Filter[]): Search {
  const { query } = place.value;
  const texts = filters.map(({ key }) => query.get(key) ?? "");
  const sought = filters.map(({ read }, i) => read(texts[i] ?? ""));
  const whole = useRef<Query>();
  const isBehind = sought.some((each) => "missing" in each);
  if (!isBehind) whole.current = Object.assign({}, ...sought.map((each) => "ask" in each && each.ask));
  return { asked: whole.current, isWritten: texts.some((text) => text !== ""), isBehind };
}

/** A word is searched for when its writer pauses. */
const pauseMs = 180;

export function FilterField({ filter }: { readonly filter: Filter }) {
  const { key, title, hint, isMain, read } = filter;
  const value = place.value.query.get(key) ?? "";
  const id = useId();
  const [text, setText] = useState(value);
  // Text that this field has written itself; it returns while the user may still be typing.
  const written = useRef<string>();
  // Before the field is painted: later input must not be undone.
  useLayoutEffect(() => {
    if (value !== written.current) setText(value);
    written.current = undefined;
  }, [value]);
  // Typing here determines when to search; the current values of other fields are part of the search.
  useEffect(() => {
    if (text === value) return;
    const search = () => {
      written.current = text.trim();
      refine({ ...Object.fromEntries(place.peek().query), [key]: written.current });
    };
    const timer = setTimeout(search, pauseMs);
    return () => clearTimeout(timer);
  }, [text]);
  const sought = read(value);
  return (
    <div class={isMain ? "filter filter-main" : "filter"}>
      <label for={id}>{title}</label>
      <span class="filter-input">
        {isMain && <Icon name="search" />}
        <input
          id={id}
          type="search"
          value={text}
          placeholder={hint}
          aria-describedby={`${id}-missing`}
          spellcheck={false}
          autocomplete="off"
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </span>
      <p id={`${id}-missing`} class="filter-missing" role="status" dir="auto">
        {"missing" in sought && sentence(sought.missing)}
      </p>
    </div>
  );
}
