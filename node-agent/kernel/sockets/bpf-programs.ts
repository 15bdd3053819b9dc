// eBPF programs of other programs at devices, as far as netlink does not show them (bpf(2), include/uapi/linux/bpf.h). Of the network namespace
// of the calling thread.
import { bpf, SystemCallError } from "./libc.ts";

const BPF_PROG_GET_NEXT_ID = 11;
const BPF_PROG_QUERY = 16;
const BPF_LINK_GET_NEXT_ID = 31;
/** BPF_TCX_INGRESS and BPF_TCX_EGRESS. */
const tcxHooks = [46, 47] as const;

const queryBytes = 64;
const countAt = 24;
const query = Buffer.alloc(queryBytes);

/** Programs that are attached to a device by tcx (Linux 6.6), in and out. None: also where the kernel has no tcx, or refuses. */
export function countTcx(ifindex: number): number {
  try {
    return tcxHooks.reduce((count, hook) => count + countAtHook(ifindex, hook), 0);
  } catch (error) {
    if (error instanceof SystemCallError) return 0;
    throw error;
  }
}

/** Without room for their numbers the kernel says how many there are (bpf_mprog_query() in kernel/bpf/mprog.c). */
function countAtHook(ifindex: number, hook: number): number {
  query.fill(0);
  query.writeUInt32LE(ifindex, 0);
  query.writeUInt32LE(hook, 4);
  bpf(BPF_PROG_QUERY, query);
  return query.readUInt32LE(countAt);
}

const ENOENT = 2;
const nextBytes = 12;
const nextAt = 4;
const next = Buffer.alloc(nextBytes);
/** Of each kind. More are not read: the agent looks every second. */
const maxObjects = 200;

/**
 * The numbers of the programs on this machine, and of their links (bpf(2)): what begins has a new one. No message of the kernel is about them.
 * Undefined where the kernel does not show them: it asks for CAP_SYS_ADMIN.
 */
export function describeBpfObjects(): string | undefined {
  try {
    return [BPF_PROG_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID].map((command) => listIds(command).join()).join("; ");
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

/** @throws SystemCallError */
function listIds(command: number): number[] {
  const ids: number[] = [];
  try {
    for (let id = 0; ids.length < maxObjects; ids.push(id)) {
      next.fill(0);
      next.writeUInt32LE(id, 0);
      bpf(command, next);
      id = next.readUInt32LE(nextAt);
    }
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== ENOENT) throw error;
  }
  return ids;
}
