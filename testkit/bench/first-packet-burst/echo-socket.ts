// An ICMP echo of this process in a guest's namespace. `ping` is not enough, because two hundred of them cannot start
// at the same moment: here one process sends all first packets back to back, and the kernel records when answers
// arrive.
import {
  closeSocket,
  openSocket,
  receiveFrom,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  sendTo,
} from "../../../node-agent/kernel/sockets/libc.ts";
import { ipToBytes, parseIp } from "../../../schema/address/index.ts";
import { icmpEcho } from "../../lab/frames.ts";
import type { Guest } from "../../lab/guest.ts";
import { inNamespace } from "../../lab/namespace.ts";
import type { Endpoint, Family } from "../addresses.ts";
import { enableTimestamps, lastPacketMs, realtimeMs } from "../clock.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const identifier = 0x6e6d;
const replyTypes = { 4: 0, 6: 129 } as const;
const packetBytes = 256;

export class EchoSocket {
  readonly #family: Family;
  readonly #fd: number;
  readonly #packet: Buffer;
  readonly #to: Buffer;
  #sentMs = Number.NaN;
  #answeredMs: number | undefined;

  constructor(guest: Guest, own: Endpoint, peer: Endpoint) {
    this.#family = own.family;
    const [domain, protocol] = own.family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
    this.#fd = inNamespace(guest.namespace, () =>
      openSocket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol),
    );
    enableTimestamps(this.#fd);
    // The kernel writes the IP header.
    this.#packet = icmpEcho({ from: own.ip, to: peer.ip, id: identifier }).subarray(own.family === 4 ? 20 : 40);
    this.#to = socketAddress(peer);
  }

  send(): void {
    this.#sentMs = realtimeMs();
    sendTo(this.#fd, this.#packet, this.#to);
  }

  get sentMs(): number {
    return this.#sentMs;
  }

  /** Round trip of the first answer, as soon as it was read; undefined before. */
  poll(): number | undefined {
    const into = Buffer.alloc(packetBytes);
    const from = Buffer.alloc(28);
    while (this.#answeredMs === undefined) {
      const packet = receiveFrom(this.#fd, into, from);
      if (packet === undefined) return undefined;
      // Raw sockets see the requests of others too; with IPv4 the header is included.
      const message = this.#family === 4 ? packet.subarray(((packet[0] ?? 0) & 0x0f) * 4) : packet;
      if (message[0] !== replyTypes[this.#family] || message.readUInt16BE(4) !== identifier) continue;
      this.#answeredMs = lastPacketMs(this.#fd);
    }
    return this.#answeredMs - this.#sentMs;
  }

  close(): void {
    closeSocket(this.#fd);
  }
}

/** struct sockaddr_in or sockaddr_in6, without port. */
function socketAddress({ ip, family }: Endpoint): Buffer {
  const bytes = ipToBytes(parseIp(ip));
  const address = Buffer.alloc(family === 4 ? 16 : 28);
  address.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0);
  Buffer.from(bytes).copy(address, family === 4 ? 4 : 8);
  return address;
}
