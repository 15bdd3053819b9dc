// Whether a frame of one network reaches a guest of another: a packet socket in every guest of the other.
import { every, type Repetition } from "../../common/every.ts";
import { readEthernet } from "../lab/frames.ts";
import { type Guest, guestDevice } from "../lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../lab/packets.ts";

const drainEveryMs = 500;

export class LeakWatch {
  /** Frames that belong there: a watch that has seen none proves nothing. */
  own = 0;
  private readonly leaks: string[] = [];
  private readonly timer: Repetition;

  private constructor(
    private readonly sockets: readonly { readonly guest: Guest; readonly socket: PacketSocket }[],
    private readonly foreignPrefix: string,
  ) {
    this.timer = every(drainEveryMs, () => this.drain());
  }

  /** @param foreignPrefix the prefix of all MACs of the other network */
  static async open(guests: readonly Guest[], foreignPrefix: string): Promise<LeakWatch> {
    const open = async (guest: Guest) => ({ guest, socket: await openPacketSocket(guest, guestDevice) });
    return new LeakWatch(await Promise.all(guests.map(open)), foreignPrefix);
  }

  /** Returns and clears the first few frames that arrived in the wrong network. */
  take(): string[] {
    this.drain();
    return this.leaks.splice(0).slice(0, 5);
  }

  close(): void {
    this.timer.stop();
    for (const { socket } of this.sockets) socket.close();
  }

  private drain(): void {
    for (const { guest, socket } of this.sockets) {
      for (const { bytes } of socket.frames()) {
        const { from, to } = readEthernet(bytes);
        if ([from, to].some((mac) => mac.startsWith(this.foreignPrefix))) {
          this.leaks.push(`${guest.name} saw a frame from ${from} to ${to}`);
        } else this.own++;
      }
      socket.clear();
    }
  }
}
