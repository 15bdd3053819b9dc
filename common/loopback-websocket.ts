// A WebSocket of which both ends are in this process, for made-up frames that keep the code of a real one warm: the kernel passes them from one to
// the other, and they reach no network.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";

export interface LoopbackWebSocket {
  readonly client: WebSocket;
  readonly server: WebSocket;
  /** The socket below the server's end. */
  readonly below: Duplex;
  close(): void;
}

/** For the handshake, ms. */
const handshakeTimeout = 2_000;

/** @throws Error where the kernel refuses it */
export async function openLoopbackWebSocket(maxPayload: number): Promise<LoopbackWebSocket> {
  // In the abstract namespace: no file. Another process may see the name while this waits, but not the path.
  const name = `\0nearmiss-${randomUUID()}`;
  const path = `/${randomUUID()}`;
  const http = createServer();
  const accepting = new WebSocketServer({ server: http, path, maxPayload, clientTracking: false });
  http.listen({ path: name });
  await once(http, "listening");
  const accepted = once(accepting, "connection") as Promise<[WebSocket, { readonly socket: Duplex }]>;
  const client = new WebSocket(`ws://localhost${path}`, {
    createConnection: () => connect({ path: name }),
    maxPayload,
    handshakeTimeout,
    perMessageDeflate: false,
  });
  try {
    await once(client, "open");
    const [server, { socket: below }] = await accepted;
    const close = (): void => {
      for (const end of [client, server]) end.terminate();
    };
    return { client, server, below, close };
  } finally {
    http.close();
    accepting.close();
  }
}
