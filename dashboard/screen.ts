// The size of the screen, for layouts beyond CSS.
import { signal } from "@preact/signals";

/** As in the styles. */
const narrow = matchMedia("(max-width: 700px)");

export const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", ({ matches }) => {
  isNarrow.value = matches;
});
