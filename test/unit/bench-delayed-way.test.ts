// The proxy that puts a controller far away.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openDelayedWay } from "../../testkit/bench/modes/delayed-way.ts";

const host = "127.0.0.1";
const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function wayTo(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const to = { host, port: portOf(server) };
  const way = await openDelayedWay({ listen: { host, port: 0 }, to, thereMs: 30, backMs: 20 });
  onTestFinished(() => {
    way.close();
    server.close();
  });
  return way;
}

test("what is sent arrives in order and whole, and its answer no sooner than both delays together", async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const way = await wayTo(echo);
  const socket = connect({ host, port: portOf(way) });
  const sent = Array.from({ length: 50 }, (_, n) => `${n} ${"x".repeat(n * 100)}\n`);
  const beginMs = performance.now();
  let text = "";
  let firstMs = Number.NaN;
  socket.on("data", (chunk) => {
    if (text === "") firstMs = performance.now() - beginMs;
    text += chunk;
  });
  for (const each of sent) socket.write(each);
  socket.end();
  await once(socket, "end");
  expect(text).toBe(sent.join(""));
  // A timer may be a millisecond early.
  expect(firstMs).toBeGreaterThanOrEqual(48);
});

test("a server that is gone ends the connection", async () => {
  const refusing = createServer();
  const way = await wayTo(refusing);
  await new Promise((resolve) => refusing.close(resolve));
  const socket = connect({ host, port: portOf(way) }).on("error", () => {});
  await once(socket, "close");
});
