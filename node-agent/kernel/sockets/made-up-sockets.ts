// Sockets of their own for made-up misses: the kernel is asked what it is asked for real ones, about a device that cannot exist. It refuses (ENODEV,
// ENXIO), so nothing is notified and no frame leaves, and these sockets hear nothing but made-up misses.
import type { MacAddress, Vni } from "../../../schema/address/index.ts";
import type { Miss } from "../../misses/miss.ts";
import { encodePortLookUp, RTM_GETNEIGH } from "../codec/neighbour-codec.ts";
import { FrameSender, openFrameSocket } from "./guest-sockets.ts";
import { AF_NETLINK, closeSocket, openSocket, receive, SOCK_CLOEXEC, SOCK_RAW, sendTo } from "./libc.ts";
import { MissSocket } from "./miss-socket.ts";
import { type Request, RequestSocket } from "./request-socket.ts";

const NETLINK_ROUTE = 0;

export class MadeUpSockets {
  private readonly requests = new RequestSocket();
  private readonly misses: MissSocket;
  private readonly sender = new FrameSender();
  private readonly deaf = openFrameSocket();
  private readonly frame = Buffer.alloc(128);
  private readonly from = openSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  private readonly to: Buffer;

  /** Opens in the calling thread's network namespace. @throws SystemCallError */
  constructor(vniOf: (ifindex: number) => Vni | undefined, onMiss: (miss: Miss) => void) {
    this.misses = new MissSocket(vniOf);
    this.misses.listen(onMiss);
    this.to = Buffer.alloc(12);
    this.to.writeUInt16LE(AF_NETLINK, 0);
    this.to.writeUInt32LE(this.misses.port, 4);
  }

  /** As if the kernel had sent it. */
  miss(message: Buffer): void {
    sendTo(this.from, message, this.to);
  }

  readonly request = async (requests: readonly Request[]): Promise<void> => {
    await this.requests.send(requests);
  };

  readonly hear = (): void => {
    receive(this.deaf, this.frame);
  };

  readonly locate = async (bridgeIfindex: number, mac: MacAddress): Promise<void> => {
    await this.requests.get(RTM_GETNEIGH, encodePortLookUp(bridgeIfindex, mac));
  };

  reply(frame: Buffer, ifindex: number): void {
    this.sender.send(frame, ifindex);
  }

  close(): void {
    this.requests.close();
    this.misses.close();
    this.sender.close();
    closeSocket(this.deaf);
    closeSocket(this.from);
  }
}
