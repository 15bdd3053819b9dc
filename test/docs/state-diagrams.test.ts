// The state diagrams of ARCHITECTURE.md show the transitions that the code allows, no more and no fewer.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Transitions } from "../../common/state-machine.ts";
import { linkTransitions } from "../../node-agent/controller-link/link-state.ts";

const page = readFileSync(join(resolve(import.meta.dirname, "../.."), "ARCHITECTURE.md"), "utf8");

/** The diagram that follows the first mention of `file` with one directly below its paragraph. */
function arrowsDrawn(file: string): string[] {
  const diagrams = [...page.matchAll(/^(.+)\n\n```mermaid\nstateDiagram-v2\n(.*?)^```$/gms)];
  const [, , body = ""] = diagrams.find(([, caption = ""]) => caption.includes(`\`${file}\``)) ?? [];
  return [...body.matchAll(/^ *(\S+) --> (\S+?)(?:: .+)?$/gm)].map(([, from, to]) => `${from} --> ${to}`).sort();
}

/** A state without a successor is drawn as an end. */
function arrowsAllowed(first: string, transitions: Transitions<string>): string[] {
  const arrows = Object.entries(transitions).flatMap(([from, followers]) =>
    (followers.length > 0 ? followers : ["[*]"]).map((to) => `${from} --> ${to}`),
  );
  return [`[*] --> ${first}`, ...arrows].sort();
}

test.each([{ file: "node-agent/controller-link/link-state.ts", first: "idle", transitions: linkTransitions }])(
  "the diagram of $file matches the code",
  ({ file, first, transitions }) => {
    expect(arrowsDrawn(file)).toEqual(arrowsAllowed(first, transitions));
  },
);
