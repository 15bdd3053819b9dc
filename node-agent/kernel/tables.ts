// The kernel's neighbour tables and FDBs behind the `Tables` interface.
import type { Vni } from "../../schema/index.ts";
import type { Entry, Operation, OperationResult, Tables } from "../tables/entry.ts";
import {
  decodeNeighbourMessage,
  decodeOwnEntry,
  type EntryDevice,
  encodeEntry,
  encodeFdbDump,
  encodeNeighbourDump,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./neighbour-codec.ts";
import { NLM_F_CREATE, NLM_F_REPLACE } from "./netlink-codec.ts";
import { describe, type Request, type RequestSocket } from "./request-socket.ts";

const ENOENT = 2;

export class KernelTables implements Tables {
  /** @param deviceOf the vxlan device of a network, undefined while it does not exist */
  constructor(
    private readonly socket: RequestSocket,
    private readonly deviceOf: (vni: Vni) => EntryDevice | undefined,
  ) {}

  async apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    const devices = operations.map((operation) => this.deviceOf(operation.entry.vni));
    const requests = operations.flatMap((operation, i) => {
      const device = devices[i];
      return device ? [requestOf(operation, device.ifindex)] : [];
    });
    const acknowledgements = (await this.socket.send(requests))[Symbol.iterator]();
    return operations.map((operation, i): OperationResult => {
      // Without its device a network holds nothing: deletes are done, puts have no place.
      if (!devices[i]) {
        return operation.verb === "delete"
          ? { operation, ok: true }
          : { operation, ok: false, reason: `there is no vxlan device for VNI ${operation.entry.vni}` };
      }
      const acknowledgement = acknowledgements.next().value;
      if (!acknowledgement) return { operation, ok: false, reason: "the kernel said nothing" };
      const absent = operation.verb === "delete" && acknowledgement.errno === ENOENT;
      if (acknowledgement.errno === 0 || absent) return { operation, ok: true };
      return { operation, ok: false, reason: describe(acknowledgement) };
    });
  }

  async list(vni: Vni): Promise<Entry[]> {
    const device = this.deviceOf(vni);
    if (!device) return [];
    const dumps = await Promise.all([
      this.socket.dump(`list neighbours of VNI ${vni}`, RTM_GETNEIGH, encodeNeighbourDump(device.ifindex)),
      this.socket.dump(`list FDB of VNI ${vni}`, RTM_GETNEIGH, encodeFdbDump(device.ifindex)),
    ]);
    return dumps.flat().flatMap((message) => {
      const neighbour = decodeNeighbourMessage(message);
      return (neighbour && decodeOwnEntry(neighbour, device)) ?? [];
    });
  }
}

/** CREATE alone on an existing MAC answers success and keeps the old VTEP: puts always replace. */
function requestOf({ verb, entry }: Operation, ifindex: number): Request {
  return verb === "put"
    ? { type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, payload: encodeEntry(entry, ifindex) }
    : { type: RTM_DELNEIGH, flags: 0, payload: encodeEntry(entry, ifindex) };
}
