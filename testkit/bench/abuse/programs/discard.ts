// The target of attackers in a control run: accepts TLS, requests and WebSockets, and discards everything it reads.
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { Duplex } from "node:stream";
import { serveOrders } from "../crew.ts";

export interface DiscardOrder {
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** RFC 6455 §1.3. */
const webSocketGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

function upgrade(request: IncomingMessage, socket: Duplex): void {
  const key = request.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1").update(`${key}${webSocketGuid}`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on("error", () => {}).resume();
}

serveOrders(({ port, certificate: cert, key }: DiscardOrder) => {
  const server: Server = createServer(
    { cert, key, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      request.on("error", () => {}).resume();
      request.once("end", () => response.end("{}"));
    },
  );
  server.timeout = 0;
  server.requestTimeout = 0;
  server.on("upgrade", upgrade).on("tlsClientError", () => {});
  return new Promise<void>((resolve) => server.listen(port, "::", 4_096, () => resolve()));
});
