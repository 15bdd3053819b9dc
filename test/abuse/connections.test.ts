// Unlimited connections, by strangers and by known identities: each reaches a limit of its own, and others are
// accepted.
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, startSecured } from "../integration/harness.ts";
import { findCertified, requestAs } from "../support/certified.ts";
import { startEnrolling } from "../support/enrolled.ts";

function silent(base: string, localAddress: string): Socket {
  const [host = "", port] = base.split(":");
  const socket = connect({ host, port: Number(port), localAddress }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function metric({ request }: Pick<Controller, "request">, name: string): Promise<number> {
  const { body } = await request("GET", "/metrics");
  const line = String(body)
    .split("\n")
    .find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

/** An answered request on a connection that stays open, as a pool of clients has it. */
async function kept(base: string, bearer: string, path = "/v1/networks", accept = "*/*") {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const headers = { authorization: `Bearer ${bearer}`, accept };
  const call = request(`http://${base}${path}`, { agent, headers }).end();
  const [response] = await once(call, "response");
  let closed = false;
  call.socket?.once("close", () => {
    closed = true;
  });
  if (!accept.includes("event-stream")) {
    response.resume();
    await once(response, "end");
  }
  return { status: response.statusCode as number, headers: response.headers, isClosed: () => closed };
}

describe("strangers", () => {
  test("from many addresses fill their share before TLS, and an operator and a host are admitted at once", async () => {
    const controller = await startEnrolling({ maxConnections: 80, door: { unknownPerSecond: 10_000 } });
    const identity = await controller.enrol("a");
    const sockets = Array.from({ length: 120 }, (_, n) => silent(controller.base, `127.0.2.${1 + (n % 12)}`));
    await waitUntil(
      () => sockets.filter(({ destroyed }) => destroyed).length,
      (gone) => gone >= 100,
      { what: "all but a quarter of 80 to be ended" },
    );
    await controller.call(200, "GET", "/v1/hosts");
    expect((await controller.ask({ identity }, "GET", "/v1/hosts/a")).status).toBe(200);
    const agent = await controller.agent(identity).connect();
    expect(agent.isOpen).toBe(true);
  });

  test("do not delay a controller that stops", async () => {
    const controller = await startSecured();
    const sockets = Array.from({ length: 4 }, () => silent(controller.base, "127.0.0.1"));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    await waitFor(async () => (await metric(controller.admin, "nearmiss_controller_connections_unproven")) === 4, {
      what: "four strangers",
    });
    const closed = Promise.all(sockets.map((socket) => once(socket.resume(), "close")));
    await controller.stop();
    await closed;
  });

  test("from one address do not displace those from another", async () => {
    const controller = await startSecured({ door: { unprovenConnections: 8 } });
    const other = silent(controller.base, "127.0.2.1");
    await once(other, "connect");
    const sockets = Array.from({ length: 100 }, () => silent(controller.base, "127.0.2.2"));
    await waitUntil(
      () => sockets.filter(({ destroyed }) => destroyed).length,
      (gone) => gone === 92,
      { what: "all but eight to be ended" },
    );
    expect(other.destroyed).toBe(false);
    expect(await metric(controller.admin, 'nearmiss_controller_connections_refused_total{reason="source"}')).toBe(92);
    expect(await metric(controller.admin, "nearmiss_controller_connections_unproven")).toBe(9);
  });
});

describe("a token", () => {
  test("has its oldest idle connection closed for a new one, and never exceeds its limit", async () => {
    const controller = await startSecured({ door: { tokenConnections: 8 } });
    const viewer = await controller.issue({ role: "viewer" });
    const pool: Awaited<ReturnType<typeof kept>>[] = [];
    for (let n = 0; n < 20; n += 1) pool.push(await kept(controller.base, viewer.token));
    expect(pool.every(({ status }) => status === 200)).toBe(true);
    await waitFor(() => pool.filter(({ isClosed }) => isClosed()).length === 12, {
      what: "all but eight to be closed",
    });
    expect(pool.slice(-8).some(({ isClosed }) => isClosed())).toBe(false);
    // The admin's own is the ninth.
    expect(await metric(controller.admin, "nearmiss_controller_connections_proven")).toBeLessThanOrEqual(10);
  });

  test("whose connections are all in use is answered 429 with a retry time; others continue", async () => {
    const controller = await startSecured({ door: { tokenConnections: 8 }, findCertified });
    await populate(controller.admin);
    const viewer = await controller.issue({ role: "viewer" });
    for (let n = 0; n < 8; n += 1) {
      expect((await kept(controller.base, viewer.token, "/v1/events", "text/event-stream")).status).toBe(200);
    }
    const refused = await kept(controller.base, viewer.token);
    expect([refused.status, refused.headers["retry-after"], refused.headers.connection]).toEqual([429, "5", "close"]);
    await call(controller.admin, 200, "GET", "/v1/vms");
    expect((await requestAs(controller, "a", "GET", "/v1/hosts/a")).status).toBe(200);
    const other = await controller.issue({ role: "viewer" });
    await call(controller.as(other.token), 200, "GET", "/v1/vms");
  });
});

describe("WebSockets that are opened at once", () => {
  const upgrade = (base: string, bearer: string) => {
    const socket = silent(base, "127.0.0.1");
    const key = Buffer.alloc(16).toString("base64");
    socket.write(
      `GET /v1/events HTTP/1.1\r\nHost: ${base}\r\nAuthorization: Bearer ${bearer}\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    return socket;
  };

  test("by dozens are all answered, in their turns", async () => {
    const controller = await startSecured({ door: { tokenConnections: 400, unprovenConnections: 400 } });
    const viewer = await controller.issue({ role: "viewer" });
    const sockets = Array.from({ length: 30 }, () => upgrade(controller.base, viewer.token));
    const heads = await Promise.all(
      sockets.map(async (socket) => String((await once(socket, "data"))[0]).slice(0, 12)),
    );
    expect(new Set(heads)).toEqual(new Set(["HTTP/1.1 101"]));
  });

  test("and are gone before their turn take no connection from their token", async () => {
    const controller = await startSecured({ door: { tokenConnections: 8, unprovenConnections: 400 } });
    const viewer = await controller.issue({ role: "viewer" });
    for (let round = 0; round < 3; round++) {
      const sockets = Array.from({ length: 200 }, () => upgrade(controller.base, viewer.token));
      await Promise.race(sockets.map((socket) => once(socket, "data")));
      for (const socket of sockets) socket.resetAndDestroy();
    }
    const gauges = ["unproven", "proven"].map((which) => `nearmiss_controller_connections_${which}`);
    // Those of the admin are left: the one that asks, and one that was kept.
    const count = async () => {
      const counts = await Promise.all(gauges.map((name) => metric(controller.admin, name)));
      return counts.reduce((sum, each) => sum + each, 0);
    };
    await waitFor(async () => (await count()) <= 2, { what: "no connection of the token" });
    for (let n = 0; n < 8; n += 1) {
      expect((await kept(controller.base, viewer.token, "/v1/events", "text/event-stream")).status).toBe(200);
    }
  });
});

describe("a consumer of events", () => {
  test.each(["message", "ping"] as const)(
    "that sends %ss without end is disconnected, and others are not",
    async (kind) => {
      const controller = await startSecured();
      const viewer = await controller.issue({ role: "viewer" });
      const headers = { authorization: `Bearer ${viewer.token}` };
      const [quiet, loud] = [0, 1].map(() => new WebSocket(`ws://${controller.base}/v1/events`, [], { headers }));
      if (!quiet || !loud) throw new Error("two consumers");
      onTestFinished(() => quiet.terminate());
      await Promise.all([once(quiet, "open"), once(loud, "open")]);
      const ended = once(loud, "close");
      for (let n = 0; n <= 100; n += 1) {
        if (kind === "message") loud.send("x");
        else loud.ping();
      }
      await ended;
      const pong = once(quiet, "pong");
      quiet.ping();
      await pong;
    },
  );
});
