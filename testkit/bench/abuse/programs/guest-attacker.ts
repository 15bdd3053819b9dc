// A guest that floods its network with frames, as fast as a packet socket takes them. Runs in the guest's namespace.
import { AF_PACKET, openSocket, SOCK_CLOEXEC, SOCK_RAW, sendTo } from "../../../../node-agent/kernel/sockets/libc.ts";
import { arp, broadcastMac, ethernet, etherTypes, udpPacket } from "../../../lab/frames.ts";
import { serveOrders } from "../crew.ts";
import type { GuestAttack } from "../names.ts";

export type GuestAttackerOrder =
  | {
      readonly kind: "attack";
      readonly name: GuestAttack;
      /** Of the guest's card. */
      readonly ifindex: number;
      /** The guest's own. */
      readonly mac: string;
      readonly ip: string;
    }
  /** Answered with a `Flood` when no frame is sent any more. */
  | { readonly kind: "rest" };

export interface Flood {
  readonly frames: number;
  readonly ms: number;
}

/** IEEE 802: for local experiments, so no protocol answers. */
const experimentalType = 0x88b5;
const minPayloadBytes = 46;
/** Frames between two checks for orders. */
const batch = 64;
/** Offsets in an ARP request over Ethernet (RFC 826). */
const offsets = { source: 6, senderMac: 22, senderIp: 28, targetIp: 38 } as const;

type Order = Extract<GuestAttackerOrder, { kind: "attack" }>;

/** A frame, and a function that changes it to the next one. */
interface Frames {
  readonly frame: Buffer;
  next(frame: Buffer): void;
}

/** Any address whose first byte is that of a unicast address which no vendor has given out. */
function writeRandomMac(frame: Buffer, offset: number): void {
  frame.writeUInt8(0x52, offset);
  frame.writeUInt32BE(random(), offset + 1);
  frame.writeUInt8(random() & 0xff, offset + 5);
}

function random(): number {
  return Math.floor(Math.random() * 0x1_0000_0000);
}

/** In the /16 of the frame's present address. */
function writeRandomIp(frame: Buffer, offset: number): void {
  frame.writeUInt16BE(random() & 0xffff, offset + 2);
}

const makers: Readonly<Record<GuestAttack, (order: Order) => Frames>> = {
  /** Another source in each frame, which no port and no protocol needs. */
  "mac-flood": ({ mac }) => ({
    frame: ethernet({ to: broadcastMac, from: mac, type: experimentalType, payload: Buffer.alloc(minPayloadBytes) }),
    next: (frame) => writeRandomMac(frame, offsets.source),
  }),
  /** The askers differ from the sender: another asker and another address in each frame. */
  "arp-storm": ({ mac, ip }) => ({
    frame: arp({ operation: "request", senderMac: mac, senderIp: ip, targetIp: ip }),
    next: (frame) => {
      writeRandomMac(frame, offsets.senderMac);
      writeRandomIp(frame, offsets.senderIp);
      writeRandomIp(frame, offsets.targetIp);
    },
  }),
  /** The guest itself asks for consecutive addresses. */
  "guest-scan": ({ mac, ip }) => ({
    frame: arp({ operation: "request", senderMac: mac, senderIp: ip, targetIp: ip }),
    next: (frame) => frame.writeUInt16BE((frame.readUInt16BE(offsets.targetIp + 2) + 1) & 0xffff, offsets.targetIp + 2),
  }),
  /** Broadcasts of IPv4, which its host may copy to others. */
  broadcasts: ({ mac, ip }) => {
    const payload = udpPacket({ from: ip, to: "255.255.255.255", fromPort: 9, toPort: 9, payload: Buffer.alloc(32) });
    return { frame: ethernet({ to: broadcastMac, from: mac, type: etherTypes.ipv4, payload }), next: () => {} };
  },
};

const fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
let isRunning = false;
let sent = 0;
let startMs = 0;

function attack(order: Order): void {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(order.ifindex, 4);
  const { frame, next } = makers[order.name](order);
  const send = (): void => {
    if (!isRunning) return;
    for (let i = 0; i < batch; i++) {
      next(frame);
      sendTo(fd, frame, address);
      sent += 1;
    }
    setImmediate(send);
  };
  isRunning = true;
  sent = 0;
  startMs = performance.now();
  send();
}

serveOrders((order: GuestAttackerOrder): Flood | undefined => {
  if (order.kind === "attack") {
    attack(order);
    return undefined;
  }
  isRunning = false;
  return { frames: sent, ms: Math.round(performance.now() - startMs) };
});
