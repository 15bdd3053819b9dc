// What is written to and deleted from the tables of a host, while it happens.
import type { Host } from "../lab/host.ts";
import { inNamespace } from "../lab/namespace.ts";
import { ChangeSocket } from "../node-agent/kernel/change-socket.ts";
import type { NeighbourMessage } from "../node-agent/kernel/neighbour-codec.ts";

/** Calls back for every entry that comes, changes or goes, until `meanwhile` has ended. */
export async function whileWatching<T>(
  host: Host,
  onEntry: (message: NeighbourMessage) => void,
  meanwhile: () => Promise<T>,
): Promise<T> {
  const handlers = { onLink: () => {}, onAddress: () => {}, onPort: () => {}, onEntry };
  const socket = inNamespace(host.namespace, () => new ChangeSocket(handlers));
  try {
    return await meanwhile();
  } finally {
    socket.close();
  }
}
