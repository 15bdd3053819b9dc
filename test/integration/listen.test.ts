// Where the controller listens: connections that came while the event loop was busy, and who else may listen there.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import Fastify, { type FastifyInstance } from "fastify";
import { expect, onTestFinished, test } from "vitest";
import { nextRound } from "../../common/cooperative.ts";
import { listenWide } from "../../controller/listen.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

async function listening(app: FastifyInstance = Fastify(), port = 0, host = "127.0.0.1") {
  onTestFinished(() => app.close());
  await listenWide(app, { host, port });
  const { server } = app;
  return { app, server, port: (server.address() as AddressInfo).port };
}

/** Comes back when the kernel has taken them all, without a turn of the event loop. */
function connectWhileBlocked(port: number, host: string, count: number): void {
  const script = `
    const { connect } = require("node:net");
    let left = ${count};
    for (let n = 0; n < ${count}; n++) connect(${port}, "${host}", () => --left || process.exit(0));
  `;
  execFileSync(process.execPath, ["-e", script]);
}

async function turnsUntilAccepted(server: Server, count: number): Promise<number> {
  let accepted = 0;
  server.on("connection", () => accepted++);
  let turns = 0;
  for (; accepted < count; turns++) await new Promise((resolve) => setImmediate(resolve));
  return turns;
}

test.each(["127.0.0.1", "::1"])("a crowd that waits on %s is accepted many at a time", async (host) => {
  const { server, port } = await listening(Fastify(), 0, host);
  connectWhileBlocked(port, host, 128);
  // The kernel spreads them by hash: 8 to each of sixteen sockets on average.
  expect(await turnsUntilAccepted(server, 128)).toBeLessThan(32);
});

test("another controller on the same port is refused, and the first goes on", async () => {
  const { server, port } = await listening();
  await expect(listening(Fastify(), port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  connectWhileBlocked(port, "127.0.0.1", 1);
  expect(await turnsUntilAccepted(server, 1)).toBeGreaterThan(0);
});

test("a name is all its addresses that this machine has, each with its own sockets", async () => {
  const app = Fastify();
  onTestFinished(() => app.close());
  // TEST-NET-1 (RFC 5737) is on no interface, like ::1 where the kernel has no IPv6.
  const found = ["127.0.0.1", "192.0.2.77", "::1"];
  await listenWide(app, { host: "localhost", port: 0 }, async () => found);
  const { port } = app.server.address() as AddressInfo;
  for (const host of ["127.0.0.1", "::1"]) {
    const seen = once(app.server, "connection");
    connectWhileBlocked(port, host, 1);
    const [{ localAddress }] = (await seen) as [Socket];
    expect(localAddress).toBe(host);
    await expect(listening(Fastify(), port, host)).rejects.toMatchObject({ code: "EADDRINUSE" });
  }
});

test("closed, it accepts nothing more on any socket", async () => {
  const { app, port } = await listening();
  await app.close();
  expect(() => connectWhileBlocked(port, "127.0.0.1", 1)).toThrow();
});

test("closing ends when the requests of all sockets are answered", async () => {
  const app = Fastify();
  let isClosed = false;
  app.addHook("onClose", async () => {
    isClosed = true;
  });
  const finish: (() => void)[] = [];
  app.get("/", () => new Promise((resolve) => finish.push(() => resolve("done"))));
  const { port } = await listening(app);
  const answers = Array.from({ length: 64 }, () => fetch(`http://127.0.0.1:${port}/`));
  await waitFor(() => finish.length === answers.length, { what: "all requests to arrive" });
  const closing = app.close();
  for (const each of finish) {
    expect(isClosed).toBe(false);
    each();
    await nextRound();
  }
  for (const answer of await Promise.all(answers)) expect(await answer.text()).toBe("done");
  await closing;
});

test("a peer that leaves before its handshake is disconnected on every socket", async () => {
  const { port } = await listening(Fastify({ https: {} }) as unknown as FastifyInstance);
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      onTestFinished(() => void socket.destroy());
      await once(socket.resume(), "connect");
      await once(socket.end(), "end");
    }),
  );
});
