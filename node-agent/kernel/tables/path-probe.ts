// Reads how the kernel would forward a guest's frame: tables, links, the bridge's port for a MAC.
import { readFileSync } from "node:fs";
import { findIp, type IpAddress, type MacAddress } from "../../../schema/address/index.ts";
import type { ActualEntry } from "../../tables/entry.ts";
import { decodeAddress } from "../codec/link-codec.ts";
import { RTM_GETADDR } from "../codec/link-numbers.ts";
import { encodeAddressDump } from "../codec/link-requests.ts";
import {
  AF_BRIDGE,
  decodeEntry,
  decodeNeighbourMessage,
  type EntryDevice,
  encodePortLookUp,
  NDA_DST,
  NDA_LLADDR,
  type NeighbourMessage,
  NTF_SELF,
  RTM_GETNEIGH,
} from "../codec/neighbour-codec.ts";
import { NetlinkError, type RequestSocket } from "../sockets/request-socket.ts";
import { readEntries } from "./device-entries.ts";

/** All entries in the tables of a vxlan device, and entries that raise no miss although they lead nowhere. */
export interface TunnelTables {
  readonly entries: readonly ActualEntry[];
  /** Neighbours without a MAC (INCOMPLETE, FAILED): the proxy finds them, answers nothing, and no miss comes. */
  readonly unresolved: readonly IpAddress[];
  /** An all-zeros FDB entry, the flood default: no l2miss comes. */
  readonly floods: boolean;
}

export const noTables: TunnelTables = { entries: [], unresolved: [], floods: false };

/** None for a device that is gone. */
export async function probeTables(socket: RequestSocket, device: EntryDevice): Promise<TunnelTables> {
  const entries: ActualEntry[] = [];
  const unresolved: IpAddress[] = [];
  let floods = false;
  try {
    for await (const lot of readEntries(socket, device)) {
      for (const message of lot) {
        const entry = decodeEntry(message, device);
        if (entry) entries.push(entry);
        unresolved.push(...unresolvedIp(message));
        if (isFloodDefault(message)) floods = true;
      }
    }
    return { entries, unresolved, floods };
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    return noTables;
  }
}

function unresolvedIp({ family, attributes }: NeighbourMessage): IpAddress[] {
  const destination = attributes.get(NDA_DST);
  if (family === AF_BRIDGE || attributes.has(NDA_LLADDR) || !destination) return [];
  return [findIp(destination)].filter((ip) => ip !== undefined);
}

function isFloodDefault({ family, flags, attributes }: NeighbourMessage): boolean {
  const self = family === AF_BRIDGE && (flags & NTF_SELF) !== 0;
  return self && (attributes.get(NDA_LLADDR)?.every((byte) => byte === 0) ?? false);
}

/** ifindex of the port that a bridge has a MAC behind; the bridge's own for its own addresses. */
export async function probePort(
  socket: RequestSocket,
  bridgeIfindex: number,
  mac: MacAddress,
): Promise<number | undefined> {
  const message = await socket.get(RTM_GETNEIGH, encodePortLookUp(bridgeIfindex, mac));
  return message && decodeNeighbourMessage(message)?.ifindex;
}

/** The addresses of the host on one of its links. @throws NetlinkError */
export async function probeAddresses(socket: RequestSocket, ifindex: number): Promise<IpAddress[]> {
  const messages = await socket.dump("list addresses", RTM_GETADDR, encodeAddressDump());
  return messages.flatMap((message) => {
    const address = decodeAddress(message);
    return address?.ifindex === ifindex ? [address.ip] : [];
  });
}

/** Whether the host's rules may be in iptables-legacy, whose chains cannot be read here: its table is loaded where it was ever listed or used. */
export function probeLegacyFilter(family: 4 | 6): boolean {
  return probeLegacyTables(family).includes("filter");
}

/** Tables of iptables-legacy that exist, with or without rules. */
export function probeLegacyTables(family: 4 | 6): string[] {
  try {
    const tables = readFileSync(`/proc/self/net/${family === 4 ? "ip" : "ip6"}_tables_names`, "utf8");
    return tables.split("\n").filter((name) => name !== "");
  } catch {
    return [];
  }
}

/** Whether bridged frames go through the host's iptables; undefined where the kernel has no such module loaded. */
export function probeBridgeFilter(family: 4 | 6): boolean | undefined {
  const name = family === 4 ? "bridge-nf-call-iptables" : "bridge-nf-call-ip6tables";
  try {
    return readFileSync(`/proc/sys/net/bridge/${name}`, "utf8").trim() === "1";
  } catch {
    return undefined;
  }
}
