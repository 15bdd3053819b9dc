// Why an agent cannot start, for a person at a terminal and for a service's log.
import { expect, test } from "vitest";
import { sayFailure } from "../../node-agent/start-failure.ts";

test.each([
  [true, ["nearmiss agent: it has no certificate\n"], []],
  [false, [], ["it has no certificate"]],
])("at a terminal (%s) it is a sentence, elsewhere a line of the log", (isTTY, shown, logged) => {
  const [written, lines]: [string[], string[]] = [[], []];
  const log = { fatal: (text: string) => lines.push(text) };
  sayFailure(log as never, "it has no certificate", { isTTY, write: (text) => written.push(text) });
  expect([written, lines]).toEqual([shown, logged]);
});
