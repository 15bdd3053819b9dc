// The state diagrams of ARCHITECTURE.md and docs/protocol.md show the transitions that the code allows, no more and no fewer.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Transitions } from "../../common/state-machine.ts";
import { sessionTransitions } from "../../controller/agents/session-state.ts";
import { linkTransitions } from "../../node-agent/controller-link/link-state.ts";

/** In the diagram of a page below the paragraph that names `file`. */
function arrowsDrawn(page: string, file: string): string[] {
  const paragraphs = readFileSync(join(resolve(import.meta.dirname, "../.."), page), "utf8").split(/\n{2,}/);
  const diagram = paragraphs.find(
    (each, i) => each.startsWith("```mermaid\nstateDiagram-v2\n") && paragraphs[i - 1]?.includes(`\`${file}\``),
  );
  const arrows = (diagram ?? "").matchAll(/^ *(\S+) --> ([^\s:]+)/gm);
  return [...arrows].map(([, from, to]) => `${from} --> ${to}`).sort();
}

/** A state without a successor is drawn as an end. */
function arrowsAllowed(first: string, transitions: Transitions<string>): string[] {
  const arrows = Object.entries(transitions).flatMap(([from, followers]) =>
    (followers.length > 0 ? followers : ["[*]"]).map((to) => `${from} --> ${to}`),
  );
  return [`[*] --> ${first}`, ...arrows].sort();
}

test.each([
  {
    page: "ARCHITECTURE.md",
    file: "node-agent/controller-link/link-state.ts",
    first: "idle",
    transitions: linkTransitions,
  },
  {
    page: "ARCHITECTURE.md",
    file: "controller/agents/session-state.ts",
    first: "greeting",
    transitions: sessionTransitions,
  },
  {
    page: "docs/protocol.md",
    file: "controller/agents/session-state.ts",
    first: "greeting",
    transitions: sessionTransitions,
  },
])("the diagram of $file in $page matches the code", ({ page, file, first, transitions }) => {
  expect(arrowsDrawn(page, file)).toEqual(arrowsAllowed(first, transitions));
});
