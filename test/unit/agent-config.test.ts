import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { addOutputOption, format } from "../../cli/output.ts";
import { addAgentCommand, parseCap, parseIdleTimeout, parseMetricsAddress } from "../../node-agent/config.ts";

describe("--idle-timeout", () => {
  test.each([
    ["1s", 1_000],
    ["90s", 90_000],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    ["off", Number.POSITIVE_INFINITY],
  ])("accepts %s", (text, ms) => expect(parseIdleTimeout(text)).toBe(ms));

  test.each(["", "0s", "10", "10 m", "1.5h", "-1s", "8d", "1w", "1e3s", "never"])("refuses %j", (text) =>
    expect(() => parseIdleTimeout(text)).toThrow(/from 1s to 7d/),
  );
});

describe("caps", () => {
  test("are integers in their range", () => {
    expect([parseCap("16"), parseCap("500000")]).toEqual([16, 500_000]);
    for (const text of ["15", "500001", "1e3", "", "all"]) expect(() => parseCap(text)).toThrow(/16 to 500000/);
  });
});

describe("--metrics", () => {
  test.each([
    ["9478", { host: "127.0.0.1", port: 9478 }],
    ["192.0.2.1:9478", { host: "192.0.2.1", port: 9478 }],
    ["[::1]:0", { host: "::1", port: 0 }],
  ])("accepts %s", (text, address) => expect(parseMetricsAddress(text)).toEqual(address));

  test.each(["", ":9478", "host:9478", "::1:9478", "[192.0.2.1]:9478", "192.0.2.1", "70000", "9478x"])(
    "refuses %j",
    (text) => expect(() => parseMetricsAddress(text)).toThrow(/address:port|greater than 65535/),
  );
});

test("the help of `nearmiss agent` names every option with its default", () => {
  const program = new Command("nearmiss");
  addAgentCommand(program, { addOutputOption, format });
  const help = program.commands[0]?.helpInformation() ?? "";
  for (const part of ["--idle-timeout", "10m", "--max-per-network", "32768", "--max-per-host", "131072", "--metrics"]) {
    expect(help).toContain(part);
  }
});
