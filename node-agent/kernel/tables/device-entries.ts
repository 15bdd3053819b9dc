// The entries of one vxlan device, as messages: tens of thousands on a large network, so they are handled in batches, and other
// tasks run between them.
import {
  decodeNeighbourMessage,
  type EntryDevice,
  encodeFdbDump,
  encodeNeighbourDump,
  type NeighbourMessage,
  RTM_GETNEIGH,
} from "../codec/neighbour-codec.ts";
import type { NetlinkMessage } from "../codec/netlink-codec.ts";
import type { RequestSocket } from "../sockets/request-socket.ts";

type Lots<T> = AsyncGenerator<T[], void>;

/** Neighbours as of one moment, then FDB entries as of a later one. @throws NetlinkError */
export async function* readEntries(
  socket: Pick<RequestSocket, "dumpInTurns">,
  device: EntryDevice,
): Lots<NeighbourMessage> {
  const { ifindex, vni } = device;
  const payload = encodeNeighbourDump(ifindex);
  yield* decoded(socket.dumpInTurns(`list neighbours of VNI ${vni}`, RTM_GETNEIGH, payload), ifindex);
  yield* readFdb(socket, device);
}

/** @throws NetlinkError */
export function readFdb(
  socket: Pick<RequestSocket, "dumpInTurns">,
  { ifindex, vni }: EntryDevice,
): Lots<NeighbourMessage> {
  return decoded(socket.dumpInTurns(`list FDB of VNI ${vni}`, RTM_GETNEIGH, encodeFdbDump(ifindex)), ifindex);
}

async function* decoded(lots: Lots<NetlinkMessage>, ifindex: number): Lots<NeighbourMessage> {
  for await (const lot of lots) {
    yield lot.flatMap((message) => {
      const neighbour = decodeNeighbourMessage(message);
      return neighbour?.ifindex === ifindex ? neighbour : [];
    });
  }
}
