// A packet socket on one device of a namespace: sees every frame in both directions, and sends any. The kernel buffers
// received frames; nothing is read until a test reads it, so a capture costs the machine nothing.
import {
  AF_PACKET,
  bindSocket,
  closeSocket,
  openSocket,
  receiveFrom,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  sendTo,
  setsockopt,
} from "../../node-agent/kernel/sockets/libc.ts";
import { readEthernet } from "./frames.ts";
import { inNamespace, type Namespace } from "./namespace.ts";
import { waitFor } from "./wait.ts";

/** All protocols: a bridge takes the frames of its ports before a socket for one protocol sees them. */
const ETH_P_ALL = 0x0003;
const SO_RCVBUFFORCE = 33;
const PACKET_OUTGOING = 4;
const bufferBytes = 32 * 1024 * 1024;
const maxFrame = 65_536 + 64;

export interface Captured {
  readonly bytes: Buffer;
  /** Sent by the device's own namespace; false: received by it. */
  readonly outgoing: boolean;
}

export class PacketSocket {
  readonly #fd: number;
  readonly #address: Buffer;
  readonly #into = Buffer.alloc(maxFrame);
  readonly #frames: Captured[] = [];
  #open = true;

  constructor(fd: number, address: Buffer) {
    this.#fd = fd;
    this.#address = address;
  }

  /** Everything seen since opening or `clear`, in order. */
  frames(): readonly Captured[] {
    const from = Buffer.alloc(20);
    while (this.#open) {
      const data = receiveFrom(this.#fd, this.#into, from);
      if (data === undefined) break;
      this.#frames.push({ bytes: Buffer.from(data), outgoing: from.readUInt8(10) === PACKET_OUTGOING });
    }
    return this.#frames;
  }

  /** Discards the frames seen so far. */
  clear(): void {
    this.frames();
    this.#frames.length = 0;
  }

  /** The first frame seen, before or from now on, that satisfies `predicate`. @throws WaitError */
  waitForFrame(predicate: (frame: Captured) => boolean): Promise<Captured> {
    return waitFor(() => this.frames().find(predicate), {
      what: "a frame among those captured",
      everyMs: 1,
    });
  }

  /** Sends a whole Ethernet frame out of the device. */
  inject(frame: Buffer): void {
    const { to } = readEthernet(frame);
    const address = Buffer.from(this.#address);
    address.writeUInt8(6, 11);
    Buffer.from(to.replaceAll(":", ""), "hex").copy(address, 12);
    sendTo(this.#fd, frame, address);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSocket(this.#fd);
  }
}

/** @throws CommandError where the device does not exist */
export async function openPacketSocket(where: Namespace, device: string): Promise<PacketSocket> {
  const ifindex = await where.ifindexOf(device);
  // struct sockaddr_ll: family, protocol (network order), index, then hardware type, packet type, address.
  const address = Buffer.alloc(20);
  Buffer.from(Uint16Array.of(AF_PACKET).buffer).copy(address, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  Buffer.from(Int32Array.of(ifindex).buffer).copy(address, 4);
  // Protocol 0 hears nothing, so no frame of another device slips in before the bind.
  const fd = inNamespace(where.namespace, () => openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  try {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
    bindSocket(fd, address);
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  return new PacketSocket(fd, address);
}
