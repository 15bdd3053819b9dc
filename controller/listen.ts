// Listens on an address with several sockets. libuv accepts one connection of each in a turn of the event loop
// (src/unix/stream.c, uv__server_io): with one socket, and turns that requests of many clients make long, a client that comes later
// waited for seconds until it was accepted, while those before it were served again and again.
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { ListenAddress } from "./listen-address.ts";

/** Beside the first; the kernel spreads connections over all by their addresses and ports (SO_REUSEPORT, socket(7)). */
const moreSockets = 15;

interface Listening {
  readonly server: Server;
  listen(options: { host: string; port: number; reusePort: boolean }): Promise<unknown>;
}

/**
 * @param app its server gets the connections of all sockets
 * @returns stops all sockets but the server's own
 * @throws what `net.Server.listen` throws: also EADDRINUSE where another process of this user shares its ports
 */
export async function listenWide(app: Listening, { host, port }: ListenAddress): Promise<() => void> {
  const free = await findFree({ host, port });
  await app.listen({ host, port: free, reusePort: true });
  const { address } = app.server.address() as AddressInfo;
  const { maxConnections } = app.server;
  const more = Array.from({ length: moreSockets }, () => {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.maxConnections = maxConnections;
    return server.on("connection", (socket: Socket) => app.server.emit("connection", socket));
  });
  const stop = (): void => {
    for (const server of more) server.close();
  };
  try {
    await Promise.all(
      more.map((server) => once(server.listen({ host: address, port: free, reusePort: true }), "listening")),
    );
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

/** SO_REUSEPORT lets two controllers of one user share a port; without it, the second is refused. @returns the port */
async function findFree(where: ListenAddress): Promise<number> {
  const probe = createServer().listen({ ...where, exclusive: true });
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
