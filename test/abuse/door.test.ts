// Details of the entry point: supported TLS, ambiguous requests, and requests that are not WebSockets.
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { cipherSuites } from "../../controller/pki/server-tls.ts";
import { call, startController, startSecured } from "../integration/harness.ts";
import { type EnrollingController, startEnrolling } from "../support/enrolled.ts";

/** The status of the answer to these bytes, 0 if there is none. */
async function statusOf(base: string, head: string): Promise<number> {
  const socket = connect(Number(base.split(":")[1]), "127.0.0.1");
  let text = "";
  socket.on("error", () => {});
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.write(head);
  await once(socket, "close");
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
}

const get = (target: string, ...headers: readonly string[]) =>
  `GET ${target} HTTP/1.1\r\n${headers.map((each) => `${each}\r\n`).join("")}Connection: close\r\n\r\n`;

describe("a request that can be read in two ways", () => {
  test.each([
    [
      "two Host headers, the second of another site",
      400,
      (base: string) => get("/livez", `Host: ${base}`, "Host: evil.example"),
    ],
    [
      "two Host headers, the first of another site",
      400,
      (base: string) => get("/livez", "Host: evil.example", `Host: ${base}`),
    ],
    ["the same Host twice", 400, (base: string) => get("/livez", `Host: ${base}`, `Host: ${base}`)],
    ["a target that names another host", 400, (base: string) => get("http://evil.example/livez", `Host: ${base}`)],
    ["a target with userinfo", 400, (base: string) => get(`http://x@${base}/livez`, `Host: ${base}`)],
    ["a target of another scheme", 400, (base: string) => get(`ftp://${base}/livez`, `Host: ${base}`)],
    ["a target without a slash", 400, (base: string) => get("livez", `Host: ${base}`)],
    [
      "two tokens",
      400,
      (base: string) => get("/livez", `Host: ${base}`, "Authorization: Bearer a", "Authorization: Bearer b"),
    ],
    ["two origins", 400, (base: string) => get("/livez", `Host: ${base}`, "Origin: http://a", "Origin: http://b")],
    [
      "two content types",
      400,
      (base: string) => get("/livez", `Host: ${base}`, "Content-Type: a/b", "Content-Type: c/d"),
    ],
    ["no Host", 400, () => get("/livez")],
    ["no Host in HTTP/1.0", 421, () => "GET /livez HTTP/1.0\r\n\r\n"],
    ["a target that names this host", 200, (base: string) => get(`http://${base}/livez`, `Host: ${base}`)],
    ["nothing odd", 200, (base: string) => get("/livez", `Host: ${base}`)],
  ])("%s: %i", async (_what, status, head) => {
    const { base } = await startController();
    expect(await statusOf(base, head(base))).toBe(status);
  });

  test("CONNECT is not answered", async () => {
    const { base } = await startController();
    expect(await statusOf(base, `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n`)).toBe(0);
  });

  test.each([
    "x@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1, evil.example",
    "127.0.0.1:",
    "127.0.0.1:99999",
    "127.0.0.1:80:80",
    "127.0.0.1:0x50",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "::1",
    "[::1",
    "[::1]x",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "localhost.evil.example",
    "localhost..",
    "127.0.0.1/",
    "127.0.0.1#",
    "127.0.0.1?",
    "127.0.0.1\\",
    "%6cocalhost",
    "localhost\u0000",
    "127.0.0.1 evil.example",
    "*",
  ])("Host %j is refused", async (host) => {
    const { base } = await startController();
    expect([400, 421]).toContain(await statusOf(base, get("/livez", `Host: ${host}`)));
  });

  test.each(["127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:4788", "LOCALHOST", "localhost.", "localhost:1"])(
    "Host %j is accepted",
    async (host) => {
      const { base } = await startController();
      expect(await statusOf(base, get("/livez", `Host: ${host}`))).toBe(200);
    },
  );
});

describe("an upgrade to WebSocket", () => {
  const upgrade = (base: string, path: string, ...more: readonly string[]) =>
    `GET ${path} HTTP/1.1\r\nHost: ${base}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more.map((each) => `${each}\r\n`).join("")}\r\n`;

  test("on any route without WebSocket is refused, with a token and without", async () => {
    const controller = await startSecured();
    const { paths } = await call(controller.admin, 200, "GET", "/openapi.json");
    const bearer = `Authorization: Bearer ${controller.adminToken}`;
    const all = [...Object.keys(paths), "/", "/docs", "/docs/json", "/nowhere", "/index.html"].filter(
      (path) => !["/v1/events", "/v1/agent"].includes(path),
    );
    expect(all.length).toBeGreaterThan(25);
    for (const path of all) {
      const target = path.replace(/\{\w+\}/g, "x");
      for (const headers of [[], [bearer]]) {
        const status = await statusOf(controller.base, upgrade(controller.base, target, ...headers));
        expect([target, status >= 400 && status < 500]).toEqual([target, true]);
      }
    }
  });

  test.each(["h2c", "TLS/1.0", "websocket, h2c"])("to %s is answered without one", async (protocol) => {
    const { base } = await startController();
    const head = `GET /livez HTTP/1.1\r\nHost: ${base}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
    const status = await statusOf(base, head);
    expect(status).not.toBe(101);
    expect(status).toBeGreaterThan(0);
  });
});

describe("TLS", () => {
  const open = async (controller: EnrollingController, options: object): Promise<TLSSocket> => {
    const port = Number(controller.url.port);
    const socket = connectTls({ port, host: "127.0.0.1", ca: controller.trust(), ...options });
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("close", () => reject(new Error("refused")));
    });
    return socket;
  };

  const weak = [
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-CCM8",
  ];

  test.each(["before", "after"])("1.2 negotiates AEAD suites only, %s its certificate is replaced", async (when) => {
    const controller = await startEnrolling();
    if (when === "after") await controller.tls.refresh();
    for (const ciphers of weak) {
      // SECLEVEL=0: the client must not be the one that refuses.
      const attempt = open(controller, { maxVersion: "TLSv1.2", ciphers: `${ciphers}:@SECLEVEL=0` });
      await expect(attempt).rejects.toThrow("refused");
    }
    const agreed = new Set<string>();
    for (const ciphers of cipherSuites.filter((each) => each.startsWith("ECDHE-ECDSA"))) {
      agreed.add((await open(controller, { maxVersion: "TLSv1.2", ciphers })).getCipher().name);
    }
    expect(agreed.size).toBe(3);
    expect((await open(controller, {})).getProtocol()).toBe("TLSv1.3");
  });

  test.each(["before", "after"])("1.2 is not renegotiated, %s its certificate is replaced", async (when) => {
    const controller = await startEnrolling();
    if (when === "after") await controller.tls.refresh();
    const socket = await open(controller, { maxVersion: "TLSv1.2" });
    const outcome = new Promise<string>((resolve) => {
      socket.once("error", ({ message }) => resolve(message));
      socket.renegotiate({}, (error) => resolve(error ? error.message : "negotiated anew"));
    });
    expect(await outcome).toMatch(/no renegotiation/i);
  });
});
