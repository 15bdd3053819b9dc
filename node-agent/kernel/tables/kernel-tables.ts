// The kernel's neighbour tables and FDBs behind the `Tables` interface.
import type { MacAddress, Vni } from "../../../schema/address/index.ts";
import type { ActualEntry, Operation, OperationResult, Tables } from "../../tables/entry.ts";
import {
  decodeEntry,
  decodeIdle,
  type EntryDevice,
  encodeEntry,
  encodePlace,
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
} from "../codec/neighbour-codec.ts";
import { type Acknowledgement, NLM_F_CREATE, NLM_F_REPLACE } from "../codec/netlink-codec.ts";
import { describe, type Request, type RequestSocket } from "../sockets/request-socket.ts";
import { readEntries, readFdb } from "./device-entries.ts";

const ENOENT = 2;
const ENOMEM = 12;
const ENOSPC = 28;
const ENOBUFS = 105;
/** The kernel's errors when a table, or its memory for one, is full (net/core/neighbour.c, net/bridge/br_fdb.c). */
const fullErrnos: readonly number[] = [ENOMEM, ENOSPC, ENOBUFS];

export class KernelTables implements Tables {
  /** @param deviceOf the vxlan device of a network, undefined while it does not exist */
  constructor(
    private readonly socket: Pick<RequestSocket, "send" | "dumpInTurns">,
    private readonly deviceOf: (vni: Vni) => EntryDevice | undefined,
  ) {}

  async apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    const requests = operations.map((operation) => {
      const device = this.deviceOf(operation.entry.vni);
      return device ? requestsOf(operation, device.ifindex) : [];
    });
    const acknowledgements = await this.socket.send(requests.flat());
    let at = 0;
    return operations.map((operation, i): OperationResult => {
      at += requests[i]?.length ?? 0;
      // The last request of an operation decides its outcome.
      return requests[i]?.length ? resultOf(operation, acknowledgements[at - 1]) : withoutDevice(operation);
    });
  }

  async list(vni: Vni): Promise<ActualEntry[]> {
    const device = this.deviceOf(vni);
    if (!device) return [];
    const entries: ActualEntry[] = [];
    for await (const lot of readEntries(this.socket, device)) {
      for (const message of lot) {
        const entry = decodeEntry(message, device);
        if (entry) entries.push(entry);
      }
    }
    return entries;
  }

  async idleMs(vni: Vni): Promise<ReadonlyMap<MacAddress, number>> {
    const device = this.deviceOf(vni);
    const ages = new Map<MacAddress, number>();
    if (!device) return ages;
    for await (const lot of readFdb(this.socket, device)) {
      for (const message of lot) {
        const idle = decodeIdle(message);
        if (idle) ages.set(idle.mac, idle.idleMs);
      }
    }
    return ages;
  }
}

/** CREATE alone on an existing MAC answers success and keeps the old VTEP: puts always replace. */
function requestsOf(operation: Operation, ifindex: number): Request[] {
  const { verb, entry } = operation;
  const remove = (payload: Buffer): Request => ({ type: RTM_DELNEIGH, flags: 0, payload });
  if (verb === "delete") return [remove(encodeEntry(entry, ifindex))];
  const put = { type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, payload: encodeEntry(entry, ifindex) };
  return operation.anew ? [remove(encodePlace(entry, ifindex)), put] : [put];
}

function resultOf(operation: Operation, acknowledgement: Acknowledgement | undefined): OperationResult {
  if (!acknowledgement) return { operation, ok: false, reason: "the kernel said nothing" };
  const absent = operation.verb === "delete" && acknowledgement.errno === ENOENT;
  if (acknowledgement.errno === 0 || absent) return { operation, ok: true };
  const full = fullErrnos.includes(acknowledgement.errno);
  return { operation, ok: false, reason: describe(acknowledgement), ...(full ? { full } : {}) };
}

/** Without its device a network holds nothing: deletes are done, puts have no place. */
function withoutDevice(operation: Operation): OperationResult {
  if (operation.verb === "delete") return { operation, ok: true };
  return { operation, ok: false, reason: `there is no vxlan device for VNI ${operation.entry.vni}` };
}
