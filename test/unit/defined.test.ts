import { expect, test } from "vitest";
import { defined } from "../../common/defined.ts";

interface Target {
  readonly none?: number;
  readonly text?: string;
  readonly zero: number;
  readonly empty: null;
}

test("undefined properties are left out, and no others", () => {
  const none = undefined as number | undefined;
  const text = "x" as string | undefined;
  // The compiler checks that optional properties may come from it.
  const properties: Target = defined({ none, text, zero: 0, empty: null });
  expect(Object.entries(properties)).toEqual([
    ["text", "x"],
    ["zero", 0],
    ["empty", null],
  ]);
});
