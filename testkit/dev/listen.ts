// Ports on loopback.
import type { Server } from "node:net";

/**
 * @param port 0: a free one
 * @param flag that the port was given with
 * @throws Error where the port is taken
 */
export function listen(server: Server, port: number, flag: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") return reject(error);
      reject(new Error(`port ${port} of 127.0.0.1 is in use: name another with ${flag}, 0 takes a free one`));
    });
    server.listen(port, "127.0.0.1", () => resolve());
  });
}

/** Of a server that listens. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no TCP port");
  return address.port;
}
