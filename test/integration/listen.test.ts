// Where the controller listens: connections that came while the event loop was busy, and who else may listen there.
import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { listenWide } from "../../controller/listen.ts";

async function listening(port = 0, host = "127.0.0.1") {
  const server = createServer();
  const app = {
    server,
    listen: (options: { host: string; port: number; reusePort: boolean }) =>
      new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(options, resolve);
      }),
  };
  const stop = await listenWide(app, { host, port });
  onTestFinished(() => {
    stop();
    server.close();
  });
  return { server, stop, port: (server.address() as AddressInfo).port };
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
  const { server, port } = await listening(0, host);
  connectWhileBlocked(port, host, 128);
  // The kernel spreads them by hash: 8 to each of 16 sockets on average.
  expect(await turnsUntilAccepted(server, 128)).toBeLessThan(32);
});

test("another controller on the same port is refused, and the first goes on", async () => {
  const { server, port } = await listening();
  await expect(listening(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  connectWhileBlocked(port, "127.0.0.1", 1);
  expect(await turnsUntilAccepted(server, 1)).toBeGreaterThan(0);
});

test("stopped, it accepts nothing more on any socket", async () => {
  const { server, stop, port } = await listening();
  stop();
  await new Promise((resolve) => server.close(resolve));
  expect(() => connectWhileBlocked(port, "127.0.0.1", 1)).toThrow();
});
