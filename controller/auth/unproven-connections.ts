// Connections that have not yet sent one request that was let in. An address may have so many of them, and the oldest make
// room for new ones: who opens many and says nothing (slowloris) has no more than that.
import type { Socket } from "node:net";
import { type Endpoint, peerOf } from "../peer.ts";

export class UnprovenConnections {
  private readonly byAddress = new Map<string, Map<string, Socket>>();

  constructor(private readonly maxPerAddress: number) {}

  /** For the server's `connection` event: the TCP socket, beneath TLS if there is any. */
  opened(socket: Socket): void {
    const { remoteAddress = "" } = socket;
    const key = peerOf(socket);
    const connections = this.byAddress.get(remoteAddress) ?? new Map<string, Socket>();
    this.byAddress.set(remoteAddress, connections);
    connections.set(key, socket);
    socket.once("close", () => this.forget(remoteAddress, key));
    if (connections.size <= this.maxPerAddress) return;
    const [oldest] = connections;
    if (!oldest) return;
    connections.delete(oldest[0]);
    oldest[1].destroy();
  }

  /** @param endpoint the socket of a request, which may be the TLS one */
  proved(endpoint: Endpoint): void {
    this.forget(endpoint.remoteAddress ?? "", peerOf(endpoint));
  }

  private forget(address: string, key: string): void {
    const connections = this.byAddress.get(address);
    if (connections?.delete(key) && connections.size === 0) this.byAddress.delete(address);
  }
}
