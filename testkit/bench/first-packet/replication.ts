// How many frames of the tunnel a mode sends to hosts that have nothing to do with a conversation.
import { findVxlan } from "../../lab/frames.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { underlayDevice } from "../../lab/underlay.ts";
import type { Addresses, Family } from "../addresses.ts";
import type { Mode, ModeName } from "../modes/mode.ts";
import { Stand } from "../stand.ts";
import { runTrial } from "./trial.ts";

export interface ReplicatedFrames {
  readonly mode: ModeName;
  /** All of the network's hosts, two of them with the guests that talk. */
  readonly hosts: number;
  /** That arrived at the other hosts. */
  readonly frames: number;
  /** First packets sent in that time, one per family. */
  readonly conversations: number;
}

/** One first packet of each family, watched on the underlay of every host that runs neither of the two guests. */
export async function countReplicated(
  mode: Mode,
  hosts: number,
  families: readonly Family[],
  addresses: Addresses,
): Promise<ReplicatedFrames> {
  const stand = await Stand.build(mode, hosts, [0, 1]);
  const sockets: PacketSocket[] = [];
  try {
    for (const host of stand.lab.hosts.slice(2)) sockets.push(await openPacketSocket(host, underlayDevice));
    for (const family of families) await runTrial(stand, family, addresses);
    const frames = sockets.map(countTunnelFrames).reduce((sum, each) => sum + each, 0);
    return { mode: mode.name, hosts, frames, conversations: families.length };
  } finally {
    for (const socket of sockets) socket.close();
    await stand.remove();
  }
}

function countTunnelFrames(socket: PacketSocket): number {
  return socket.frames().filter(({ bytes, outgoing }) => !outgoing && findVxlan(bytes) !== undefined).length;
}
