// A capture on one device with the kernel's time of each frame. Read after the trial, so that it costs the trial nothing
// but the kernel's copy.
import {
  AF_PACKET,
  bindSocket,
  closeSocket,
  openSocket,
  receiveFrom,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from "../../../node-agent/kernel/sockets/libc.ts";
import { inNamespace, type Namespace } from "../../lab/namespace.ts";
import { enableTimestamps, lastPacketMs } from "../clock.ts";

const ETH_P_ALL = 0x0003;
const PACKET_OUTGOING = 4;

export interface TimedFrame {
  readonly atMs: number;
  readonly bytes: Buffer;
  /** Sent by the device's own namespace; false: received by it. */
  readonly outgoing: boolean;
}

export class TimedCapture {
  private constructor(private readonly fd: number) {}

  static async open(where: Namespace, device: string): Promise<TimedCapture> {
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16BE(ETH_P_ALL, 2);
    address.writeInt32LE(await where.ifindexOf(device), 4);
    const fd = inNamespace(where.namespace, () => openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    enableTimestamps(fd);
    bindSocket(fd, address);
    return new TimedCapture(fd);
  }

  /** Frames since the last call. */
  take(): TimedFrame[] {
    const frames: TimedFrame[] = [];
    const into = Buffer.alloc(65_536);
    const from = Buffer.alloc(20);
    for (;;) {
      const data = receiveFrom(this.fd, into, from);
      if (data === undefined) return frames;
      const outgoing = from.readUInt8(10) === PACKET_OUTGOING;
      frames.push({ atMs: lastPacketMs(this.fd), bytes: Buffer.from(data), outgoing });
    }
  }

  close(): void {
    closeSocket(this.fd);
  }
}
