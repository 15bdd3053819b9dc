// docs/conditions.md has every kind of condition, as the code has it.
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { allConditionKinds, type ConditionKind, conditionText } from "../../schema/agent/index.ts";
import { blockOf } from "./blocks.ts";

const page = "docs/conditions.md";
const heading = "| Kind | Of | Severe | Seen | Reasons | Meaning |\n|---|---|---|---|---|---|\n";

function rowOf(kind: ConditionKind): string {
  const { about, isBad, observed, title, texts } = allConditionKinds[kind];
  const of = about === "controller" ? "the controller" : about;
  const reasons = Object.keys(texts).map((reason) => `\`${reason}\``);
  return `| \`${kind}\` | ${of} | ${isBad ? "yes" : ""} | ${observed ?? ""} | ${reasons.join(", ")} | ${title} |\n`;
}

test("the page has a row for every kind, with what the code says of it", () => {
  const text = readFileSync(page, "utf8");
  const [before = "", after = ""] = text.split(heading);
  const rest = after.slice(after.search(/^(?!\|)/m));
  const rows = (Object.keys(allConditionKinds) as ConditionKind[]).map(rowOf).join("");
  const written = `${before}${heading}${rows}${rest}`;
  if (process.env.NEARMISS_WRITE_DOCS) writeFileSync(page, written);
  else expect(text).toBe(written);
});

test("the page's example says what the code says of it, advice included", () => {
  const example = blockOf(page, '{"kind":');
  const said = JSON.parse(example) as Readonly<Record<string, string>>;
  const kind = "guest-never-seen";
  const { title } = allConditionKinds[kind];
  const values = { mac: "52:54:00:00:00:01", port: "vnet3", bridge: "nmb100" };
  const written = `${JSON.stringify({ ...said, kind, title, ...conditionText({ kind, reason: "detached", values }) })}\n`;
  if (process.env.NEARMISS_WRITE_DOCS) writeFileSync(page, readFileSync(page, "utf8").replace(example, written));
  else expect(example).toBe(written);
});
