// The kernel's neighbour tables and FDBs behind the `Tables` interface.
import type { IpAddress, MacAddress, Vni } from "../../../schema/address/index.ts";
import {
  type ActualEntry,
  type Hiding,
  nothingHidden,
  type Operation,
  type OperationResult,
  type Tables,
  unanswered,
} from "../../tables/entry.ts";
import {
  decodeEntry,
  decodeIdle,
  type EntryDevice,
  encodeEntry,
  encodePlace,
  findBehindNexthops,
  findHiding,
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
} from "../codec/neighbour-codec.ts";
import { type Acknowledgement, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE } from "../codec/netlink-codec.ts";
import { describe, type Request, type RequestSocket } from "../sockets/request-socket.ts";
import { readEntries, readFdb } from "./device-entries.ts";

const ENOENT = 2;
const ENOMEM = 12;
const ENOSPC = 28;
const ENOBUFS = 105;
/** The kernel's errors when a table, or its memory for one, is full (net/core/neighbour.c, net/bridge/br_fdb.c). */
const fullErrnos: readonly number[] = [ENOMEM, ENOSPC, ENOBUFS];

export class KernelTables implements Tables {
  private readonly hidingIn = new Map<Vni, Hiding>();

  /** @param deviceOf the vxlan device of a network, undefined while it does not exist */
  constructor(
    private readonly socket: Pick<RequestSocket, "send" | "dumpInTurns">,
    private readonly deviceOf: (vni: Vni) => EntryDevice | undefined,
  ) {}

  async apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    const requests = operations.map((operation) => {
      const device = this.deviceOf(operation.entry.vni);
      return device ? requestsOf(operation, device.ifindex, this.hiding(operation.entry.vni)) : [];
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
    this.hidingIn.delete(vni);
    if (!device) return [];
    const entries: ActualEntry[] = [];
    const hidden = new Set<IpAddress>();
    const behindNexthops = new Set<MacAddress>();
    let floods = false;
    for await (const lot of readEntries(this.socket, device)) {
      for (const message of lot) {
        const entry = decodeEntry(message, device);
        if (entry) entries.push(entry);
        const hiding = findHiding(message);
        if (hiding === "flood") floods = true;
        else if (hiding !== undefined) hidden.add(hiding);
        const mac = findBehindNexthops(message);
        if (mac) behindNexthops.add(mac);
      }
    }
    this.hidingIn.set(vni, { floods, hidden, behindNexthops });
    return entries;
  }

  hiding(vni: Vni): Hiding {
    return this.hidingIn.get(vni) ?? nothingHidden;
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

/**
 * CREATE alone on an existing MAC answers success and keeps the old VTEP: puts always replace. The broadcast address has a list of
 * destinations, which is appended to: the kernel refuses to replace it, and appending what is there changes nothing.
 */
function requestsOf(operation: Operation, ifindex: number, { behindNexthops }: Hiding): Request[] {
  const { verb, entry } = operation;
  const remove = (payload: Buffer): Request => ({ type: RTM_DELNEIGH, flags: 0, payload });
  if (verb === "delete") return [remove(operation.whole ? encodePlace(entry, ifindex) : encodeEntry(entry, ifindex))];
  const how = entry.kind === "broadcast" ? NLM_F_APPEND : NLM_F_REPLACE;
  const put = { type: RTM_NEWNEIGH, flags: NLM_F_CREATE | how, payload: encodeEntry(entry, ifindex) };
  const isBlocked = entry.kind === "tunnel" && behindNexthops.has(entry.mac);
  return operation.anew || isBlocked ? [remove(encodePlace(entry, ifindex)), put] : [put];
}

function resultOf(operation: Operation, acknowledgement: Acknowledgement | undefined): OperationResult {
  if (!acknowledgement) return { operation, ok: false, reason: unanswered };
  const absent = operation.verb === "delete" && acknowledgement.errno === ENOENT;
  if (acknowledgement.errno === 0 || absent) return { operation, ok: true };
  const full = fullErrnos.includes(acknowledgement.errno);
  return {
    operation,
    ok: false,
    reason: describe(acknowledgement),
    errno: describe({ errno: acknowledgement.errno }),
    ...(full ? { full } : {}),
  };
}

/** Without its device a network holds nothing: deletes are done, puts have no place. */
function withoutDevice(operation: Operation): OperationResult {
  if (operation.verb === "delete") return { operation, ok: true };
  return { operation, ok: false, reason: `there is no vxlan device for VNI ${operation.entry.vni}` };
}
