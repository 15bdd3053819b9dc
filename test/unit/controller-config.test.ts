import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, describe, expect, test, vi } from "vitest";
import { addControllerCommand, parseListen } from "../../controller/config.ts";
import type { ControllerConfig } from "../../controller/config-types.ts";
import { formatListen, isLoopback } from "../../controller/listen-address.ts";
import { runController } from "../../controller/main.ts";

describe("--listen", () => {
  test.each([
    ["127.0.0.1:4788", "127.0.0.1", 4788],
    ["[::1]:4788", "::1", 4788],
    ["0.0.0.0:0", "0.0.0.0", 0],
    ["localhost:65535", "localhost", 65_535],
  ])("accepts %s", (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port });
    expect(formatListen({ host, port })).toBe(text);
  });

  test.each(["4788", "127.0.0.1", "::1:4788", "[127.0.0.1]:1", "127.0.0.1:65536", "127.0.0.1:", ":4788", "a b:1x"])(
    "refuses %s",
    (text) => expect(() => parseListen(text)).toThrow(/address:port|greater than 65535/),
  );

  test("recognizes addresses that only this machine can reach", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1", "localhost"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "192.0.2.1", "127.example.org", "2001:db8::1"].some(isLoopback)).toBe(false);
  });
});

describe("nearmiss controller", () => {
  afterEach(() => {
    process.exitCode = 0;
    vi.restoreAllMocks();
  });

  test("its help names every option with its default", () => {
    const program = new Command("nearmiss");
    addControllerCommand(program);
    const help = program.commands[0]?.helpInformation() ?? "";
    for (const part of ["--listen", "127.0.0.1:4788", "--db", "nearmiss.db", "--insecure", "--log-level", "info"]) {
      expect(help).toContain(part);
    }
  });

  test.each([
    ["--log-max-age", "logMaxAge"],
    ["--audit-max-age", "auditMaxAge"],
  ])("%s is a duration, or off: then nothing is too old", (flag, name) => {
    const read = (...args: string[]) => {
      const program = new Command("nearmiss").exitOverride().configureOutput({ writeErr: () => {} });
      addControllerCommand(program);
      const command = program.commands[0];
      command?.exitOverride().parseOptions(args);
      return command?.opts()[name];
    };
    expect(read(flag, "12h")).toBe(43_200_000);
    expect(read(flag, "off")).toBe(Number.POSITIVE_INFINITY);
    expect(() => read(flag, "never")).toThrow("1s to 3650d");
  });

  /** Exit status and standard error of a controller that does not start. */
  async function refusal(config: Partial<ControllerConfig>) {
    const written: string[] = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    const listen = { host: "127.0.0.1", port: 0 };
    await runController({
      listen,
      db: "/nonexistent/x.db",
      insecure: false,
      rateLimit: 500,
      tokenConnections: 256,
      strangerConnections: 256,
      fastPath: "warm",
      logMaxAge: 1_000,
      logMaxEvents: 1_000_000,
      auditMaxAge: 1_000,
      auditMaxEntries: 1_000_000,
      logLevel: "silent",
      ...config,
    });
    return { status: process.exitCode, written };
  }

  test("beyond loopback without TLS is refused, with the two commands that fix it", async () => {
    const { status, written } = await refusal({ listen: { host: "0.0.0.0", port: 4788 } });
    expect(status).toBe(1);
    expect(written.join("")).toMatch(/^nearmiss controller: 0\.0\.0\.0:4788 can be reached from other machines/);
    for (const flags of ["--tls self", "--tls-cert FILE --tls-key FILE", "--insecure"]) {
      expect(written.join("")).toContain(flags);
    }
  });

  test("a database that cannot be opened is reported in one line", async () => {
    const { status, written } = await refusal({});
    expect(status).toBe(1);
    expect(written).toEqual([expect.stringMatching(/^nearmiss controller: .*\/nonexistent\/x\.db.*\n$/)]);
  });

  test("a port in use is reported in one line", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-main-"));
    const { status, written } = await refusal({ listen: { host: "127.0.0.1", port }, db: join(directory, "x.db") });
    server.close();
    rmSync(directory, { recursive: true });
    expect(status).toBe(1);
    expect(written).toEqual([expect.stringMatching(/^nearmiss controller: 127\.0\.0\.1:\d+ is in use.*\n$/)]);
  });
});
