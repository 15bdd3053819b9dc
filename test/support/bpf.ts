// eBPF programs as other programs load and attach them (bpf(2), include/uapi/linux/bpf.h). Each is two instructions, so no compiler is needed.
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import koffi from "koffi";
import { RTM_SETLINK } from "../../node-agent/kernel/codec/link-numbers.ts";
import { attribute, nested, u32 } from "../../node-agent/kernel/codec/netlink-codec.ts";
import { bpf } from "../../node-agent/kernel/sockets/libc.ts";
import { RequestSocket } from "../../node-agent/kernel/sockets/request-socket.ts";
import { inNamespace, type Namespace } from "../../testkit/lab/namespace.ts";

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_DETACH = 9;
const BPF_LINK_CREATE = 28;
const BPF_CGROUP_INET_INGRESS = 0;
const BPF_CGROUP_INET_EGRESS = 1;
const BPF_TCX_INGRESS = 46;
const BPF_TCX_EGRESS = 47;
const BPF_XDP = 37;
const XDP_FLAGS_SKB_MODE = 2;
const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_FLAGS = 3;

/** Type of program, and what it returns. */
const programs = {
  /** TCX_NEXT: the next one decides. */
  tcx: [3, -1],
  /** XDP_PASS. */
  xdp: [6, 2],
  /** Drops. */
  cgroup: [8, 0],
} as const;

/** @returns its file descriptor */
function load(kind: keyof typeof programs): number {
  const [type, value] = programs[kind];
  // r0 = value; exit
  const instructions = Buffer.alloc(16);
  instructions.writeUInt8(0xb7, 0);
  instructions.writeInt32LE(value, 4);
  instructions.writeUInt8(0x95, 8);
  const license = Buffer.from("GPL\0");
  const attributes = Buffer.alloc(128);
  attributes.writeUInt32LE(type, 0);
  attributes.writeUInt32LE(2, 4);
  attributes.writeBigUInt64LE(koffi.address(instructions), 8);
  attributes.writeBigUInt64LE(koffi.address(license), 16);
  return bpf(BPF_PROG_LOAD, attributes);
}

const words = (...values: readonly number[]): Buffer => Buffer.concat([...values.map(u32), Buffer.alloc(48)]);

/**
 * `link`: by a link of bpf(2), which ends with its file descriptor; `netlink` and `attach` are the older ways, of XDP and of tcx.
 */
export type How = "xdp by netlink" | "xdp by a link" | "tcx in by a link" | "tcx out by attach";

/** A program that lets all frames pass. Takes the place of none. @returns what detaches it */
export async function attachProgram(where: Namespace, device: string, how: How): Promise<() => Promise<void>> {
  const [link] = JSON.parse(await where.exec(["ip", "-j", "link", "show", device])) as [{ ifindex: number }];
  const fd = load(how.startsWith("xdp") ? "xdp" : "tcx");
  const inside = <T>(act: () => T): T => inNamespace(where.namespace, act);
  const byLink = (type: number, flags: number) => {
    const linkFd = inside(() => bpf(BPF_LINK_CREATE, words(fd, link.ifindex, type, flags)));
    return async () => closeSync(linkFd);
  };
  try {
    switch (how) {
      case "xdp by a link":
        return byLink(BPF_XDP, XDP_FLAGS_SKB_MODE);
      case "tcx in by a link":
        return byLink(BPF_TCX_INGRESS, 0);
      case "tcx out by attach": {
        inside(() => bpf(BPF_PROG_ATTACH, words(link.ifindex, fd, BPF_TCX_EGRESS)));
        return async () => void inside(() => bpf(BPF_PROG_DETACH, words(link.ifindex, 0, BPF_TCX_EGRESS)));
      }
      case "xdp by netlink":
        await setXdp(where, link.ifindex, fd);
        return () => setXdp(where, link.ifindex, -1);
    }
  } finally {
    closeSync(fd);
  }
}

async function setXdp(where: Namespace, ifindex: number, fd: number): Promise<void> {
  const socket = inNamespace(where.namespace, () => new RequestSocket());
  const head = Buffer.alloc(16);
  head.writeInt32LE(ifindex, 4);
  const program = attribute(IFLA_XDP_FD, u32(fd >>> 0));
  const payload = Buffer.concat([head, nested(IFLA_XDP, program, attribute(IFLA_XDP_FLAGS, u32(XDP_FLAGS_SKB_MODE)))]);
  try {
    await socket.request("attaching an XDP program", { type: RTM_SETLINK, flags: 0, payload });
  } finally {
    socket.close();
  }
}

/** Where control groups of version 2 are mounted, if they are. */
export function controlGroups(): string | undefined {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts.map((line) => line.split(" ")).find(([, , type]) => type === "cgroup2")?.[1];
}

/** Drops all that sockets of a control group send and receive. @returns what ends that */
export function cutOff(controlGroup: string): () => void {
  const group = openSync(controlGroup, constants.O_RDONLY | constants.O_DIRECTORY);
  const program = load("cgroup");
  const ways = [BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS];
  for (const way of ways) bpf(BPF_PROG_ATTACH, words(group, program, way));
  closeSync(program);
  return () => {
    for (const way of ways) bpf(BPF_PROG_DETACH, words(group, 0, way));
    closeSync(group);
  };
}
