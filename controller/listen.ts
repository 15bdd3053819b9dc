// Listens on an address with several sockets. libuv accepts one connection of each in a turn of the event loop
// (src/unix/stream.c, uv__server_io): with one socket, and turns that requests of many clients make long, a client that comes later
// waited for seconds until it was accepted, while those before it were served again and again.
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer, isIP, type Server, type Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import type { ListenAddress } from "./listen-address.ts";

/** Of each address; the kernel spreads connections over all by their addresses and ports (SO_REUSEPORT, socket(7)). */
const socketsPerAddress = 16;

type Listening = Pick<FastifyInstance, "server" | "addHook"> & {
  listen(options: { host: string; port: number; reusePort: boolean }): Promise<unknown>;
};

/**
 * @param app not ready yet; its server gets the connections of all sockets, and closing it stops them all. Its earlier `onClose`
 * hooks run when no connection is left, as with one socket
 * @param where a name is every address that it has, as `localhost` is 127.0.0.1 and ::1
 * @param resolve a name, or an address
 * @throws what `net.Server.listen` throws: also EADDRINUSE where another process of this user shares its ports
 */
export async function listenWide(app: Listening, where: ListenAddress, resolve = addressesOf): Promise<void> {
  const more: Server[] = [];
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
  const addMore = async (host: string, port: number, count: number): Promise<void> => {
    const servers = Array.from({ length: count }, () => serverFor(app));
    more.push(...servers);
    await Promise.all(servers.map((server) => once(server.listen({ host, port, reusePort: true }), "listening")));
  };
  const [first = where.host, ...others] = await resolve(where.host);
  const port = await findFree({ host: first, port: where.port });
  await app.listen({ host: first, port, reusePort: true });
  const { address } = app.server.address() as AddressInfo;
  await addMore(address, port, socketsPerAddress - 1);
  for (const other of others) {
    try {
      await addMore(other, await findFree({ host: other, port }), socketsPerAddress);
    } catch (error) {
      if (!isMissingFamily(error)) throw error;
    }
  }
}

/** As an http.Server, or else a tls.Server, makes its own. */
function serverFor({ server: main }: Listening): Server {
  const server = createServer({ allowHalfOpen: !(main instanceof TlsServer), noDelay: true });
  server.maxConnections = main.maxConnections;
  return server.on("connection", (socket: Socket) => main.emit("connection", socket));
}

/** Fastify would serve the second address of `localhost` with a server of its own, to which none of our limits applies. */
async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host)) return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** /etc/hosts may name an IPv6 address where the kernel has no IPv6. */
function isMissingFamily(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}

/** SO_REUSEPORT lets two controllers of one user share a port; without it, the second is refused. @returns the port */
async function findFree(where: ListenAddress): Promise<number> {
  const probe = createServer().listen({ ...where, exclusive: true });
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
