// Sends every hostile frame from a guest of host a, and says what of them arrived where nothing may.
import { expect } from "vitest";
import { ethernet, etherTypes, readEthernet, udpPacket, vxlan } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import type { Cluster } from "./cluster.ts";
import { type HostEars, servicePort } from "./host-ears.ts";
import { hostileFrames, injectedType, type Target } from "./hostile-frames.ts";

export interface Scene {
  readonly it: Cluster;
  /** On host a. */
  readonly ears: HostEars;
  /** On the card of another tenant's guest, on host a. */
  readonly red: PacketSocket;
  /** The last of its MAC addresses is that of host a's card on the underlay. */
  readonly target: Omit<Target, "mac">;
  readonly underlay: 4 | 6;
  /**
   * The host has an address on the guest's bridge: it asks for neighbours there and reports its groups, at its own
   * times.
   */
  readonly hostSpeaks?: boolean;
}

export interface Reached {
  /** Frames that the host's stack was given. */
  readonly stack: string[];
  /** The data that its UDP and TCP services received. */
  readonly services: string[];
  /** Frames in the other tenant's network. */
  readonly injected: string[];
  /** The answers that the guest got from a sender that is not a guest. */
  readonly answers: string[];
}

/** Where frames stop that a guest injects into the other network. */
const innerSource = "52:54:00:00:00:66";

/** From host b, as the last of all: earlier frames have arrived or never will. Shows that every listener works. */
export async function fence({ it, ears, red, target, underlay }: Scene): Promise<void> {
  const wire = await openPacketSocket(it.lab.host("b"), "eth0");
  const send = (v: 4 | 6, toPort: number, payload: Buffer): void => {
    const [from = "", to = ""] = v === 4 ? ["192.0.2.2", "192.0.2.1"] : ["2001:db8::2", "2001:db8::1"];
    const packet = udpPacket({ from, to, fromPort: 1_000, toPort, payload });
    const frame = { to: target.macs.at(-1) ?? "", from: "02:00:00:00:00:01", payload: packet };
    wire.inject(ethernet({ ...frame, type: v === 4 ? etherTypes.ipv4 : etherTypes.ipv6 }));
  };
  const marker = ethernet({ to: target.otherMac, from: innerSource, type: 0x88b8, payload: Buffer.alloc(46) });
  ears.datagrams = ears.datagrams.filter((each) => each.toString() !== "fence");
  send(4, servicePort, Buffer.from("fence"));
  send(6, servicePort, Buffer.from("fence"));
  send(underlay, 4789, vxlan(target.otherVni, marker));
  await waitFor(() => ears.datagrams.filter((each) => each.toString() === "fence").length === 2, {
    what: "datagrams over the underlay",
  });
  await red.waitForFrame(({ bytes }) => readEthernet(bytes).type === 0x88b8);
  wire.close();
}

/** For this guest alone, and no ARP request or neighbour solicitation (RFC 4861 §4.3). */
function isAnswer(frame: Buffer, mac: string): boolean {
  const { to, type, payload } = readEthernet(frame);
  if (to !== mac) return false;
  if (type === etherTypes.arp) return payload.readUInt16BE(6) !== 1;
  return type !== etherTypes.ipv6 || payload[6] !== 58 || payload[40] !== 135;
}

/** @param only destinations; default all */
export async function attackHost(
  scene: Scene & { readonly guest: Guest; readonly only?: readonly string[] | undefined },
): Promise<Reached> {
  const { ears, red, target, guest, only } = scene;
  const socket = await openPacketSocket(guest, "eth0");
  const names = new Map<string, string>();
  const stack = new Set<string>();
  const injected = new Set<string>();
  const answers = new Set<string>();
  let sent = 0;
  const isInjected = ({ bytes }: { bytes: Buffer }): boolean => readEthernet(bytes).type === injectedType;
  const fromNoGuest = ({ bytes, outgoing }: { bytes: Buffer; outgoing: boolean }): boolean =>
    !outgoing && !readEthernet(bytes).from.startsWith("52:54:") && !(scene.hostSpeaks && !isAnswer(bytes, guest.mac));
  const listen = (): void => {
    for (const bytes of ears.framesFrom([guest.mac, innerSource])) {
      stack.add(names.get(bytes.toString("hex")) ?? `a frame to ${readEthernet(bytes).to}`);
    }
    for (const each of red.frames().filter(isInjected)) injected.add(`injected by ${readEthernet(each.bytes).from}`);
    for (const each of socket.frames().filter(fromNoGuest)) {
      answers.add(`an answer of type ${readEthernet(each.bytes).type.toString(16)}`);
    }
    socket.clear();
    red.clear();
    names.clear();
  };
  for (const { name, bytes } of hostileFrames({ ...target, mac: guest.mac }, only)) {
    names.set(bytes.toString("hex"), name);
    socket.inject(bytes);
    // The event loop has the datagrams of the services, and the captures stay small.
    if (++sent % 500 === 0) {
      listen();
      await new Promise(setImmediate);
    }
  }
  listen();
  await fence(scene);
  listen();
  socket.close();
  expect(sent).toBeGreaterThan(only ? 150 * only.length : 50_000);
  const datagrams = ears.datagrams.map(String).filter((each) => each !== "fence");
  const services = [...new Set([...datagrams, ...ears.connections.map((from) => `a connection from ${from}`)])];
  return { stack: [...stack], services, injected: [...injected], answers: [...answers] };
}
