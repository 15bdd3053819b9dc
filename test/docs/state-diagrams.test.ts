// The state diagrams of ARCHITECTURE.md show the transitions that the code allows, no more and no fewer.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Transitions } from "../../common/state-machine.ts";
import { sessionTransitions } from "../../controller/agents/session-state.ts";
import { linkTransitions } from "../../node-agent/controller-link/link-state.ts";

const paragraphs = readFileSync(join(resolve(import.meta.dirname, "../.."), "ARCHITECTURE.md"), "utf8").split(/\n{2,}/);

/** In the diagram below the paragraph that names `file`. */
function arrowsDrawn(file: string): string[] {
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
  { file: "node-agent/controller-link/link-state.ts", first: "idle", transitions: linkTransitions },
  { file: "controller/agents/session-state.ts", first: "greeting", transitions: sessionTransitions },
])("the diagram of $file matches the code", ({ file, first, transitions }) => {
  expect(arrowsDrawn(file)).toEqual(arrowsAllowed(first, transitions));
});
