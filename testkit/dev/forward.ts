// A port on this machine's loopback that leads to a server inside a namespace of the lab.
import { connect, createServer, type Socket } from "node:net";
import { inNamespace } from "../lab/namespace.ts";
import { listen, portOf } from "./listen.ts";

export interface Target {
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
}

export interface Forward {
  readonly port: number;
  close(): Promise<void>;
}

/** @param port 0: a free one. @throws Error where the port is taken */
export async function forward(port: number, target: Target): Promise<Forward> {
  const open = new Set<Socket>();
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  };
  const server = createServer((near) => {
    const far = connectInside(target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  await listen(server, port, "--controller-port");
  return {
    port: portOf(server),
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      return closed;
    },
  };
}

/** Node opens the socket in the turn in which the look-up answers, so it is made inside: see testkit/lab/api.ts. */
function connectInside({ namespace, address, port }: Target): Socket {
  return connect({
    host: "controller.lab",
    port,
    autoSelectFamily: false,
    lookup: (_name, _options, callback) =>
      inNamespace(namespace, () => callback(null, address, address.includes(":") ? 6 : 4)),
  });
}
