// A guest that sends frames made by hand, another guest of the network that would be deceived, and the rules' counters between them.
import { broadcastMac, ethernet, etherTypes, udpPacket } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

export class Liar {
  #serial = 0;

  private constructor(
    private readonly host: Host,
    private readonly from: Guest,
    private readonly sender: PacketSocket,
    private readonly victim: PacketSocket,
  ) {}

  static async on(host: Host, from: Guest, victim: Guest): Promise<Liar> {
    return new Liar(host, from, await openPacketSocket(from, "eth0"), await openPacketSocket(victim, "eth0"));
  }

  inject(frame: Buffer): void {
    this.sender.inject(frame);
  }

  /**
   * Sends the frames, then one that passes: by then the victim has received everything that it will receive. A VLAN tag
   * is removed before a packet socket sees the frame, so frames count as seen without theirs too.
   */
  async seen(frames: readonly Buffer[]): Promise<number[]> {
    this.victim.clear();
    for (const frame of frames) this.sender.inject(frame);
    const [ip = ""] = this.from.ips;
    const ports = { fromPort: 6_000, toPort: 10_000 + this.#serial++ };
    const packet = udpPacket({ from: ip, to: "10.20.1.255", ...ports, payload: Buffer.from("behind it") });
    const marker = ethernet({ to: broadcastMac, from: this.from.mac, type: etherTypes.ipv4, payload: packet });
    this.sender.inject(marker);
    await waitFor(() => this.victim.frames().some(({ bytes }) => bytes.equals(marker)), {
      what: "the frame behind it",
    });
    const got = this.victim.frames().map(({ bytes }) => bytes);
    return frames.flatMap((frame, index) =>
      got.some((bytes) => bytes.equals(frame) || bytes.equals(withoutTag(frame))) ? [index] : [],
    );
  }

  /** Frames that the rules have dropped, by reason. */
  async dropped(): Promise<ReadonlyMap<string, number>> {
    const text = await this.host.exec(["nft", "-j", "list", "counters", "table", "bridge", "nearmiss"]);
    const { nftables } = JSON.parse(text) as { nftables: { counter?: { name: string; packets: number } }[] };
    return new Map(
      nftables.flatMap(({ counter }) => (counter ? [[counter.name.replace("dropped_", ""), counter.packets]] : [])),
    );
  }

  /** How many frames each reason has dropped since. */
  async droppedSince(before: ReadonlyMap<string, number>): Promise<Record<string, number>> {
    const now = await this.dropped();
    return Object.fromEntries(
      [...now].map(([reason, n]) => [reason, n - (before.get(reason) ?? 0)]).filter(([, n]) => n),
    );
  }
}

const withoutTag = (frame: Buffer): Buffer =>
  [0x8100, 0x88a8].includes(frame.readUInt16BE(12))
    ? Buffer.concat([frame.subarray(0, 12), frame.subarray(16)])
    : frame;
