// Watches writes and deletes in the tables of a host.
import {
  NDA_DST,
  NDA_LLADDR,
  type NeighbourMessage,
  RTM_DELNEIGH,
} from "../../node-agent/kernel/codec/neighbour-codec.ts";
import { ChangeSocket } from "../../node-agent/kernel/sockets/change-socket.ts";
import { findIp, findMac } from "../../schema/address/index.ts";
import type { Host } from "../lab/host.ts";
import { inNamespace } from "../lab/namespace.ts";

/** Calls back for every entry that is added, changed or deleted, until `during` has ended. */
export async function whileWatching<T>(
  host: Host,
  onEntry: (message: NeighbourMessage) => void,
  during: () => Promise<T>,
): Promise<T> {
  const handlers = { onLink: () => {}, onAddress: () => {}, onPort: () => {}, onFilter: () => {}, onEntry };
  const socket = inNamespace(host.namespace, () => new ChangeSocket(handlers));
  try {
    return await during();
  } finally {
    socket.close();
  }
}

/** @returns entries that were deleted on a device during `during`: the IP of each neighbour, the MAC of each FDB entry */
export async function deletedOn(host: Host, device: string, during: () => Promise<unknown>): Promise<string[]> {
  const watched = await host.ifindexOf(device);
  const deleted: string[] = [];
  const note = ({ ifindex, type, attributes }: NeighbourMessage): void => {
    if (ifindex !== watched || type !== RTM_DELNEIGH) return;
    const key = (attribute: number) => attributes.get(attribute) ?? Buffer.alloc(0);
    // A neighbour's deletion carries no MAC.
    deleted.push(findMac(key(NDA_LLADDR)) ?? findIp(key(NDA_DST)) ?? "an entry that cannot be read");
  };
  await whileWatching(host, note, during);
  return deleted;
}
