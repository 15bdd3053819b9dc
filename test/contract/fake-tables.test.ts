import { describe } from "vitest";
import { vni } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";
import { describeTables } from "./tables.ts";

describe("fake tables", () => {
  const tables = new FakeTables(new Set([vni(100)]));
  describeTables({ tables: () => tables, foreign: async (entry) => tables.putForeign(entry), runs: 300 });
});
