// The agent's local socket: bounded, its owner's alone, and clear where it cannot answer.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AskError, askAgent, findSocket, NoAgentError } from "../../node-agent/status/client.ts";
import { maxRequestBytes, parseStatusRequest } from "../../node-agent/status/protocol.ts";
import { openStatusServer, SocketTakenError, type StatusServer } from "../../node-agent/status/server.ts";
import { defaultSocket, defaultSockets, whyNoSocketPath } from "../../node-agent/status/socket-path.ts";
import { version } from "../../schema/version.ts";

let directory: string;
let path: string;
let server: StatusServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  path = join(directory, "agent.sock");
});

afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** Writes `text` and reads until the other side closes. */
function talk(text: string): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = createConnection(path, () => socket.end(text));
    socket.setEncoding("utf8").on("data", (part: string) => {
      received += part;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
  });
}

const replies = (text: string): unknown[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);

describe("the server", () => {
  test("answers requests in their order, one line each", async () => {
    server = await openStatusServer(path, async (request) => ({ asked: request }));
    const said = await talk('{"type":"status","maxEntries":3}\n{"type":"status"}\n');
    expect(replies(said)).toMatchObject([
      { version, result: { asked: { type: "status", maxEntries: 3 } } },
      { version, result: { asked: { type: "status" } } },
    ]);
  });

  test("says what it accepts after an invalid request, and continues", async () => {
    server = await openStatusServer(path, async () => "fine");
    const said = await talk('{"type":"dance"}\nno json\n{"type":"status"}\n');
    expect(replies(said)).toMatchObject([
      { error: expect.stringContaining('{"type":"status"}') },
      { error: expect.any(String) },
      { result: "fine" },
    ]);
  });

  test("says why it cannot answer", async () => {
    server = await openStatusServer(path, () => Promise.reject(new Error("list links: EPERM")));
    expect(replies(await talk('{"type":"status"}\n'))).toMatchObject([{ error: expect.stringContaining("EPERM") }]);
  });

  test("ends a connection that sends more than a request", async () => {
    server = await openStatusServer(path, async () => "fine");
    const said = replies(await talk("x".repeat(maxRequestBytes + 1)));
    expect(said).toMatchObject([{ error: expect.stringContaining(`${maxRequestBytes} bytes`) }]);
  });

  test("belongs to its owner alone from the first moment, also with a permissive umask", async () => {
    const before = process.umask(0);
    try {
      server = await openStatusServer(path, async () => "fine");
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
    }
  });

  test("does not replace the socket of one that answers, nor a file that is not a socket", async () => {
    server = await openStatusServer(path, async () => "first");
    await expect(openStatusServer(path, async () => "second")).rejects.toThrow(SocketTakenError);
    expect(replies(await talk('{"type":"status"}\n'))).toMatchObject([{ result: "first" }]);
    const file = join(directory, "precious");
    writeFileSync(file, "precious");
    await expect(openStatusServer(file, async () => "second")).rejects.toThrow("is not a socket");
    expect(statSync(file).isFile()).toBe(true);
  });
});

describe("a request", () => {
  test("carries parsed addresses", () => {
    expect(parseStatusRequest('{"type":"explain","network":"blue","from":"10.20.1.1","to":"FD00::1"}')).toEqual({
      type: "explain",
      network: "blue",
      from: "10.20.1.1",
      to: "fd00::1",
    });
  });

  test.each([
    '{"type":"explain","network":"blue","from":"10.20.1.1","to":"10.20.1"}',
    '{"type":"explain","network":"../etc","from":"10.20.1.1","to":"10.20.1.2"}',
    '{"type":"status","maxEntries":-1}',
    '{"__proto__":{"type":"status"}}',
    "null",
  ])("is refused: %s", (line) => {
    expect(() => parseStatusRequest(line)).toThrow();
  });
});

describe("the client", () => {
  test("says what to do if no agent runs", async () => {
    await expect(askAgent(path, { type: "status" })).rejects.toThrow(NoAgentError);
    await expect(askAgent(path, { type: "status" })).rejects.toThrow(
      /there is no .*agent\.sock.*nearmiss agent --controller/,
    );
  });

  test("passes on the agent's answer or refusal", async () => {
    server = await openStatusServer(path, async ({ type }) => {
      if (type === "explain") throw new Error("list links: EPERM");
      return { fine: true };
    });
    expect(await askAgent(path, { type: "status" })).toEqual({ version, result: { fine: true } });
    const explain = { type: "explain", network: "blue", from: "10.20.1.1", to: "10.20.1.2" } as const;
    await expect(askAgent(path, explain)).rejects.toThrow(/EPERM/);
    await expect(askAgent(path, { ...explain, to: "nowhere" })).rejects.toThrow(/nowhere/);
  });

  test("detects a server that is not an agent, one that ends and one that is stopped", async () => {
    let behave: "talk" | "end" | "wait" = "talk";
    const other = createServer((socket) => {
      if (behave === "talk") socket.write("220 mail.example.org ESMTP\n");
      if (behave === "end") socket.end();
    });
    await new Promise<void>((resolve) => other.listen(path, resolve));
    await expect(askAgent(path, { type: "status" })).rejects.toThrow(/is not a nearmiss agent/);
    behave = "end";
    await expect(askAgent(path, { type: "status" })).rejects.toThrow(/closed the connection/);
    behave = "wait";
    await expect(askAgent(path, { type: "status" }, 50)).rejects.toThrow(AskError);
    other.close();
  });
});

describe("the place of a socket", () => {
  test("is the host's default, or the one that is named", async () => {
    expect(defaultSocket("a")).toBe("/run/nearmiss/a.sock");
    expect(await findSocket("/tmp/x.sock", "a")).toBe("/tmp/x.sock");
    expect(await findSocket(undefined, "a")).toBe("/run/nearmiss/a.sock");
  });

  test("is found among other files", () => {
    for (const name of ["b.sock", "a.sock", "notes"]) writeFileSync(join(directory, name), "");
    expect(defaultSockets(directory)).toEqual([join(directory, "a.sock"), join(directory, "b.sock")]);
    expect(defaultSockets(join(directory, "nowhere"))).toEqual([]);
  });

  test("has the kernel's length limit", () => {
    expect(whyNoSocketPath(`/run/${"x".repeat(102)}`)).toBeUndefined();
    expect(whyNoSocketPath(`/run/${"x".repeat(103)}`)).toMatch(/at most 107 bytes, this one has 108/);
    expect(whyNoSocketPath("")).toBeDefined();
  });
});
