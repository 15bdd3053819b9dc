// What the kernel delivers to a host's own stack: packet sockets of one protocol each, which the kernel serves together
// with its handlers of IPv4, IPv6 and ARP, after bridge and traffic control; and UDP and TCP services on all addresses.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import {
  AF_PACKET,
  closeSocket,
  openSocket,
  receiveFrom,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  setsockopt,
} from "../../node-agent/kernel/sockets/libc.ts";
import { readEthernet } from "../../testkit/lab/frames.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";

const SO_RCVBUFFORCE = 33;
/** 802.3 frames with a length in the place of the type (include/uapi/linux/if_ether.h). */
const ETH_P_802_2 = 0x0004;

/** IPv4, ARP, RARP, 802.1Q, IPv6, MPLS, PPPoE, EAPOL, 802.1ad, LLDP, and one for experiments (IEEE 802, 88b5). */
export const etherTypesToWatch = [
  ETH_P_802_2,
  0x0800,
  0x0806,
  0x8035,
  0x8100,
  0x86dd,
  0x8847,
  0x8863,
  0x8864,
  0x888e,
  0x88a8,
  0x88cc,
  0x88b5,
] as const;

export const servicePort = 7_777;

export class HostEars {
  readonly #sockets: readonly number[];
  readonly #udp: readonly Socket[];
  readonly #tcp: Server;
  readonly #into = Buffer.alloc(65_600);
  readonly #from = Buffer.alloc(20);
  /** The data that the UDP service received. */
  datagrams: Buffer[] = [];
  /** From where the TCP service was connected to. */
  readonly connections: string[] = [];

  private constructor(sockets: readonly number[], udp: readonly Socket[], tcp: Server) {
    this.#sockets = sockets;
    this.#udp = udp;
    this.#tcp = tcp;
    for (const each of udp) each.on("message", (message) => this.datagrams.push(message));
    tcp.on("connection", (socket) => {
      this.connections.push(String(socket.remoteAddress));
      socket.destroy();
    });
  }

  static async open(host: Host): Promise<HostEars> {
    const sockets = inNamespace(host.namespace, () =>
      etherTypesToWatch.map((type) => {
        const fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ((type & 0xff) << 8) | (type >> 8));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 * 1024 * 1024);
        return fd;
      }),
    );
    const udp = [4, 6].map((family) => {
      const anyone = family === 4 ? "0.0.0.0" : "::";
      const type = family === 4 ? "udp4" : "udp6";
      // The socket is created with the answer of the look-up, which is given inside the namespace.
      return createSocket({ type, ipv6Only: family === 6, lookup: (_n, _o, answer) => answer(null, anyone, family) });
    });
    const tcp = createServer();
    const listening = Promise.all([...udp, tcp].map((each) => once(each, "listening")));
    inNamespace(host.namespace, () => {
      for (const [at, each] of udp.entries()) each.bind(servicePort, at === 0 ? "0.0.0.0" : "::");
      tcp.listen(servicePort);
    });
    await listening;
    return new HostEars(sockets, udp, tcp);
  }

  /** Frames that the stack received since the last call, in the form in which the device received them. */
  frames(): Buffer[] {
    return this.#sockets.flatMap((fd) => {
      const frames: Buffer[] = [];
      for (;;) {
        const data = receiveFrom(fd, this.#into, this.#from);
        if (data === undefined) return frames;
        frames.push(Buffer.from(data));
      }
    });
  }

  /** Those of them that were sent from one of these MAC addresses. */
  framesFrom(macs: readonly string[]): Buffer[] {
    return this.frames().filter((bytes) => macs.includes(readEthernet(bytes).from));
  }

  close(): void {
    for (const fd of this.#sockets) closeSocket(fd);
    for (const each of this.#udp) each.close();
    this.#tcp.close();
  }
}
