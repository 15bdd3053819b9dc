// Listens on an address with several sockets. libuv accepts one connection of each in a turn of the event loop
// (src/unix/stream.c, uv__server_io): with one socket, and turns that requests of many clients make long, a client that comes later
// waited for seconds until it was accepted, while those before it were served again and again.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import type { ListenAddress } from "./listen-address.ts";

/** Beside the first; the kernel spreads connections over all by their addresses and ports (SO_REUSEPORT, socket(7)). */
const moreSockets = 15;

type Listening = Pick<FastifyInstance, "server" | "addHook"> & {
  listen(options: { host: string; port: number; reusePort: boolean }): Promise<unknown>;
};

/**
 * @param app not ready yet; its server gets the connections of all sockets, and closing it stops them all. Its earlier `onClose`
 * hooks run when no connection is left, as with one socket
 * @throws what `net.Server.listen` throws: also EADDRINUSE where another process of this user shares its ports
 */
export async function listenWide(app: Listening, { host, port }: ListenAddress): Promise<void> {
  const more = Array.from({ length: moreSockets }, () => {
    // As an http.Server, or else a tls.Server, makes its own.
    const server = createServer({ allowHalfOpen: !(app.server instanceof TlsServer), noDelay: true });
    return server.on("connection", (socket: Socket) => app.server.emit("connection", socket));
  });
  let closed: Promise<unknown> | undefined;
  app.addHook("onSend", (_request, reply, _payload, done) => {
    // Kept open for a next request, the connection would delay the end.
    if (closed) reply.header("connection", "close");
    done();
  });
  app.addHook("preClose", async () => {
    closed = Promise.all(more.map((server) => new Promise((resolve) => server.close(resolve))));
  });
  app.addHook("onClose", async () => {
    await closed;
  });
  const free = await findFree({ host, port });
  await app.listen({ host, port: free, reusePort: true });
  const { address } = app.server.address() as AddressInfo;
  await Promise.all(
    more.map((server) => {
      server.maxConnections = app.server.maxConnections;
      return once(server.listen({ host: address, port: free, reusePort: true }), "listening");
    }),
  );
}

/** SO_REUSEPORT lets two controllers of one user share a port; without it, the second is refused. @returns the port */
async function findFree(where: ListenAddress): Promise<number> {
  const probe = createServer().listen({ ...where, exclusive: true });
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
