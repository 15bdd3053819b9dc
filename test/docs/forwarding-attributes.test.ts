// docs/kernel.md has every attribute that the agent sets, restores or reports, as the code has it.
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  bridgeAttributes,
  closedPort,
  type ForwardingAttribute,
  guestPortAttributes,
  tunnelPortAttributes,
} from "../../node-agent/kernel/codec/forwarding-attributes.ts";

const page = "docs/kernel.md";
const heading = "| Attribute | Of | Must be | Otherwise |\n|---|---|---|---|\n";

function rowOf(of: string, { name, wanted, isRight, otherwise }: ForwardingAttribute): string {
  const hexadecimal = name === "group_fwd_mask" ? `0x${wanted.toString(16)}` : String(wanted);
  return `| \`${name}\` | ${of} | ${isRight ? "above 0" : hexadecimal} | ${otherwise} |\n`;
}

test("the page has a row for every attribute, with what the code says of it", () => {
  const text = readFileSync(page, "utf8");
  const [before = "", after = ""] = text.split(heading);
  const rest = after.slice(after.search(/^(?!\|)/m));
  const rows = [
    ...bridgeAttributes.map((row) => rowOf("the bridge", row)),
    ...tunnelPortAttributes.map((row) => rowOf("the tunnel's port", row)),
    rowOf("all ports", closedPort),
    ...guestPortAttributes.map((row) => rowOf("a guest's port", row)),
  ].join("");
  const written = `${before}${heading}${rows}${rest}`;
  if (process.env.NEARMISS_WRITE_DOCS) writeFileSync(page, written);
  else expect(text).toBe(written);
});
