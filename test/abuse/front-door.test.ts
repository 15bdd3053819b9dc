// Requests of attackers: each is refused with the right answer, nothing changes, and the next honest request is
// answered.
import { once } from "node:events";
import { connect } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { agentPath, closeCodes } from "../../schema/agent/index.ts";
import { call, populate, problemType, startController, startSecured } from "../integration/harness.ts";
import { agentOf, findCertified } from "../support/certified.ts";

const portOf = (base: string) => Number(base.split(":")[1]);

/** Everything that the server answers to these bytes, until it closes. */
async function exchange(base: string, ...parts: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect(portOf(base), "127.0.0.1");
  let text = "";
  socket.on("error", () => {});
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  for (const part of parts) socket.write(part);
  await once(socket, "close");
  return text;
}

describe("tokens", () => {
  test.each([
    ["none", undefined],
    ["of another scheme", "Basic YWRtaW46YWRtaW4="],
    ["guessed", `Bearer nm_admin_${"A".repeat(43)}`],
    ["with SQL in it", "Bearer ' OR 1=1 --"],
    ["of a megabyte less than the header limit", `Bearer ${"a".repeat(8_000)}`],
  ])("%s: the same 401, before the body is read", async (_name, authorization) => {
    const controller = await startSecured();
    await populate(controller.admin);
    const headers = authorization === undefined ? {} : { authorization };
    for (const [method, path] of [
      ["GET", "/v1/vms"],
      ["PUT", "/v1/networks/new"],
      ["GET", "/v1/events"],
      ["GET", agentPath],
    ]) {
      const { status, body } = await controller.request(
        method ?? "",
        path ?? "",
        method === "PUT" ? "{not json" : undefined,
        headers,
      );
      expect(status).toBe(401);
      expect(problemType(body)).toBe("unauthenticated");
    }
    await call(controller.admin, 200, "GET", "/v1/vms");
  });

  test("replayed after its revocation: 401, and no WebSocket is opened", async () => {
    const controller = await startSecured();
    const { id, token } = await controller.issue({ role: "operator" });
    await call(controller.admin, 204, "DELETE", `/v1/tokens/${id}`);
    await expect(controller.as(token).events().opened).rejects.toThrow("401");
    expect((await controller.as(token).request("DELETE", "/v1/vms/x")).status).toBe(401);
  });

  test("stolen and limited: changes nothing outside its networks, and learns nothing about it", async () => {
    const controller = await startSecured();
    await populate(controller.admin);
    const { token } = await controller.issue({ role: "operator", networks: ["red"] });
    const thief = controller.as(token);
    const before = await call(controller.admin, 200, "GET", "/v1/audit?limit=1000");
    const statuses = async (...attempts: [string, string, unknown?][]) =>
      Promise.all(attempts.map(async ([method, path, body]) => (await thief.request(method, path, body)).status));
    const blue = { host: "a", interfaces: [{ network: "blue", mac: "52:54:00:00:00:77", ips: [] }] };
    expect(
      await statuses(
        ["GET", "/v1/networks/blue"],
        ["DELETE", "/v1/networks/blue"],
        ["PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.0.0.0/8"] }],
        ["GET", "/v1/vms/web-1"],
        ["DELETE", "/v1/vms/web-1"],
        ["PATCH", "/v1/vms/web-1", { host: "c" }],
        ["GET", "/v1/hosts/a"],
        ["GET", "/v1/resolve?vni=100&ip=10.20.1.1"],
      ),
    ).toEqual(Array(8).fill(404));
    expect(
      await statuses(["PUT", "/v1/vms/web-1", { ...blue, interfaces: [{ ...blue.interfaces[0], network: "red" }] }]),
    ).toEqual([409]);
    expect(await statuses(["POST", "/v1/vms", { name: "new", ...blue }])).toEqual([422]);
    expect(
      await statuses(
        ["PUT", "/v1/hosts/a", { vtep: "192.0.2.9" }],
        ["DELETE", "/v1/hosts/c"],
        ["GET", "/v1/tokens"],
        ["GET", "/v1/audit"],
        ["GET", "/metrics"],
      ),
    ).toEqual(Array(5).fill(403));
    const { detail } = (await thief.request("PUT", "/v1/networks/red", { vni: 100, subnets: ["10.20.1.0/24"] })).body;
    expect(detail).toBe("VNI 100 belongs to another network: use another");
    expect(await call(controller.admin, 200, "GET", "/v1/audit?limit=1000")).toEqual(before);
  });

  test("guessed without end: 429 for that address, while a known token continues to work", async () => {
    const controller = await startSecured({ door: { unknownPerSecond: 2 } });
    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) statuses.push((await controller.request("GET", "/v1/vms")).status);
    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401));
    const last = await controller.request("GET", "/v1/vms");
    expect(last.status).toBe(429);
    expect(problemType(last.body)).toBe("too-many-requests");
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
    await call(controller.admin, 200, "GET", "/v1/vms");
  });
});

describe("requests from a page of another site", () => {
  test.each(["evil.example", "127.0.0.1.evil.example:4788", ""])("Host %j is 421 on every route", async (host) => {
    const { base } = await startController();
    for (const path of ["/v1/vms", "/livez", "/v1/events", "/nowhere"]) {
      const answer = await exchange(base, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 421 /);
    }
  });

  test.each(["/v1/events", agentPath])(
    "a WebSocket of a foreign Origin on %s is refused before the upgrade",
    async (path) => {
      const { base } = await startController();
      const socket = new WebSocket(`ws://${base}${path}`, { origin: "https://evil.example" });
      const [error] = await once(socket, "error");
      expect(error.message).toBe("Unexpected server response: 403");
    },
  );
});

describe("sizes and times", () => {
  test("a body that declares 1 GiB is 413 at once", async () => {
    const { base, adminToken } = await startSecured();
    const head = `PUT /v1/networks/big HTTP/1.1\r\nHost: ${base}\r\nAuthorization: Bearer ${adminToken}\r\nContent-Type: application/json\r\nContent-Length: ${2 ** 30}\r\nConnection: close\r\n\r\n`;
    expect(await exchange(base, head, "{")).toMatch(/^HTTP\/1\.1 413 /);
  });

  test("a frame that declares 100 MiB ends the connection with 1009, before it arrives", async () => {
    const controller = await startSecured({ findCertified });
    await populate(controller.admin);
    const agent = agentOf(controller, "a");
    await agent.opened;
    agent.sendText(Buffer.alloc(100 * 2 ** 20, "x"));
    expect((await agent.closed).code).toBe(1009);
  });

  test("headers that do not end are answered with 408 and closed", async () => {
    const controller = await startSecured();
    const slow = Array.from({ length: 20 }, () =>
      exchange(controller.base, `GET /v1/vms HTTP/1.1\r\nHost: ${controller.base}\r\nX-A: `),
    );
    await call(controller.admin, 200, "GET", "/v1/vms");
    for (const answer of await Promise.all(slow)) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("silent connections displace only each other", async () => {
    const controller = await startSecured({ door: { unprovenConnections: 8 } });
    const silent = Array.from({ length: 9 }, () => connect(portOf(controller.base), "127.0.0.1"));
    for (const socket of silent) socket.on("error", () => {});
    await Promise.race(silent.map((socket) => once(socket, "close")));
    await call(controller.admin, 200, "GET", "/v1/vms");
    for (const socket of silent) socket.destroy();
  });
});

describe("content of requests", () => {
  test.each([
    "/../../etc/passwd",
    "/v1/../../etc/passwd",
    "/v1/vms/..%2f..%2fetc%2fpasswd",
    "/v1/vms/%2e%2e",
    "//etc/passwd",
    "/v1/vms/%00",
  ])("the path %s is not found", async (path) => {
    const { base } = await startController();
    const answer = await exchange(base, `GET ${path} HTTP/1.1\r\nHost: ${base}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(answer).not.toContain("root:");
  });

  test.each(["x'; DROP TABLE vms; --", 'x" OR "1"="1', "x'||(SELECT hash FROM tokens)||'"])(
    "SQL is not a valid name: %s",
    async (name) => {
      const controller = await startSecured();
      await populate(controller.admin);
      const before = await call(controller.admin, 200, "GET", "/v1/vms");
      await call(controller.admin, 400, "GET", `/v1/vms/${encodeURIComponent(name)}`);
      await call(controller.admin, 404, "DELETE", `/v1/tokens/${encodeURIComponent(name)}`);
      await call(controller.admin, 400, "GET", `/v1/audit?since=${encodeURIComponent(name)}`);
      expect(await call(controller.admin, 200, "GET", "/v1/vms")).toEqual(before);
    },
  );

  test.each([
    '{"__proto__":{"admin":true},"role":"viewer"}',
    '{"role":"viewer","constructor":{"prototype":{"admin":true}}}',
  ])("a body that would change a prototype is refused: %s", async (text) => {
    const { admin } = await startSecured();
    await call(admin, 400, "POST", "/v1/tokens", text);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test("no request can forge a log line, or put a secret into the log", async () => {
    const lines: string[] = [];
    const { pino } = await import("pino");
    const log = pino({ level: "trace" }, { write: (line: string) => lines.push(line) });
    const controller = await startSecured({ log });
    const fake = `nm_admin_${"B".repeat(43)}`;
    await controller.request("GET", '/v1/vms/a%0a{"level":60,"msg":"forged"}', undefined, {
      authorization: `Bearer ${fake}`,
      "user-agent": 'x","msg":"forged',
    });
    await call(controller.admin, 200, "GET", "/v1/vms");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(line.trimEnd()).not.toContain("\n");
      expect(JSON.parse(line).msg).not.toBe("forged");
      expect(line).not.toContain(fake);
      expect(line).not.toContain(controller.adminToken);
    }
  });
});

describe("a rogue agent", () => {
  test("that sends arbitrary frames is closed with 4400 or ignored, and others continue", async () => {
    const controller = await startSecured({ findCertified });
    await populate(controller.admin);
    const honest = await agentOf(controller, "b").connect();
    const frame = fc.oneof(
      fc.json(),
      fc.string(),
      fc.constantFrom(
        '{"type":"hello","__proto__":{"host":"b"}}',
        '{"type":"resolve","id":1,"questions":[]}',
        '{"type":"applied","revision":9007199254740993,"problems":[]}',
        '{"type":"interest","keys":[{"kind":"ip","vni":-1,"ip":"x"}],"end":true}',
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 5 }), async (frames) => {
        const rogue = agentOf(controller, "a");
        await rogue.opened;
        for (const text of frames) rogue.sendText(text);
        rogue.sendText(Buffer.from([0xff]));
        expect((await rogue.closed).code).toBe(closeCodes.badFrame);
      }),
      { numRuns: 60 },
    );
    honest.send({ type: "resolve", id: 7, questions: [] });
    await honest.frame("answers");
    expect(controller.fatal).toEqual([]);
  });
});
