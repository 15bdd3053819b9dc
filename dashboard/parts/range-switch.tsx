// How far back charts go. The choice is in the URL, like that of filters.
import { type RateRange, rateRanges } from "../../schema/plain/index.ts";
import { place } from "../router.ts";
import { change } from "./choices.tsx";

const titles: Readonly<Record<RateRange, string>> = { "15m": "15 minutes", "2h": "2 hours", "24h": "24 hours" };
const key = "range";

/** The first one where the URL has none, or one that does not exist. */
export function chosenRange(): RateRange {
  const text = place.value.query.get(key);
  return rateRanges.find((each) => each === text) ?? rateRanges[0];
}

export function RangeSwitch() {
  const chosen = chosenRange();
  return (
    <fieldset class="range">
      <legend class="hidden">Time range of the charts</legend>
      {rateRanges.map((each) => (
        <label key={each}>
          <input
            type="radio"
            name={key}
            class="hidden"
            value={each}
            checked={each === chosen}
            onChange={() => change(key, each === rateRanges[0] ? "" : each)}
          />
          {titles[each]}
        </label>
      ))}
    </fieldset>
  );
}
