// What other people write, as commands print it.
import { expect, test } from "vitest";
import { changesWithin } from "../../cli/fleet/changes.ts";
import { formatTable, printable } from "../../cli/output.ts";

test("no text moves the cursor, changes colours, or changes the direction of a terminal beyond its cell", () => {
  const all = Array.from({ length: 0x2070 }, (_, code) => String.fromCharCode(code)).join("");
  const shown = printable(all);
  expect(shown).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
  expect(printable("\u001b[31m \u202egnihtyna\u2066")).toBe("\\x1b[31m \\u202egnihtyna\\u2066");
  expect(printable("שרת\u200f (web), d\u00e9j\u00e0")).toBe("שרת\u200f (web), d\u00e9j\u00e0");
  expect(formatTable(["NAME"], [["a\nb"]]).split("\n")).toHaveLength(3);
});

test("a label or an interface named like a property of every object is new if it was not there", () => {
  for (const key of ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"]) {
    const added = Object.fromEntries([[key, "x"]]);
    expect(changesWithin("labels", {}, added)).toEqual([{ field: `labels.${key}`, from: undefined, to: "x" }]);
    expect(changesWithin("labels", added, {})).toEqual([{ field: `labels.${key}`, from: "x", to: undefined }]);
    const interfaces = [{ name: key, network: "blue" }];
    const [change] = changesWithin("interfaces", [], interfaces);
    expect(change).toMatchObject({ field: `interfaces.${key}`, from: undefined });
  }
});
