// Filters of lists with few values. What is chosen is in the URL, like the text of other filters.
import { useId } from "preact/hooks";
import type { ConditionsView, ConditionView } from "../../schema/rest/index.ts";
import { changes, useResource } from "../live/resource.ts";
import { place, refine } from "../router.ts";

export interface Choice {
  /** In the query of the list, and of the page. */
  readonly key: string;
  readonly title: string;
  /** By value; the empty one stands for all. */
  readonly options: Readonly<Record<string, string>>;
}

export function choiceOf(choices: readonly Choice[]) {
  const { query } = place.value;
  const entries = choices.map(({ key }) => [key, query.get(key) ?? ""] as const);
  return { chosen: Object.fromEntries(entries), isChosen: entries.some(([, value]) => value !== "") };
}

export function ChoiceField({ choice: { key, title, options } }: { readonly choice: Choice }) {
  const id = useId();
  return (
    <div class="filter">
      <label for={id}>{title}</label>
      <select
        id={id}
        value={place.value.query.get(key) ?? ""}
        onChange={({ currentTarget }) => change(key, currentTarget.value)}
      >
        {Object.entries(options).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** The query of the page with another value. */
export function change(key: string, value: string): void {
  refine({ ...Object.fromEntries(place.peek().query), [key]: value });
}

export const stateChoice: Choice = {
  key: "state",
  title: "Agent",
  options: { "": "Any", connected: "connected", disconnected: "disconnected", down: "marked down" },
};

/** By the names of conditions that there are now, and the one that is chosen. */
export function useConditionChoice(isListed: (condition: ConditionView) => boolean): Choice {
  const chosen = place.value.query.get("condition") ?? "";
  const [all] = useResource<ConditionsView>("/v1/conditions", { changedBy: changes("operational"), everyMs: 10_000 });
  const present = all.kind === "ready" ? all.value.conditions.filter(isListed).map(({ kind }) => kind) : [];
  const named = chosen === "" || chosen === "any" ? [] : [chosen];
  const kinds = [...new Set([...present, ...named])].sort();
  return {
    key: "condition",
    title: "Conditions",
    options: { "": "With and without", any: "With any", ...Object.fromEntries(kinds.map((kind) => [kind, kind])) },
  };
}
