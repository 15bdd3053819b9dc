// Traffic control as bytes (include/uapi/linux/pkt_sched.h, pkt_cls.h). No I/O.
import { attribute, type NetlinkMessage, nested, text, u16, u32 } from "./netlink-codec.ts";

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;
export const RTNLGRP_TC = 4;

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_OPS_LEN = 4;
const TCA_BPF_OPS = 5;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const TC_H_CLSACT = 0xffff_fff1;
const TC_H_CLSACT_HANDLE = 0xffff_0000;
const TC_H_CLSACT_INGRESS = 0xffff_fff2;
const TC_H_CLSACT_EGRESS = 0xffff_fff3;
const TC_ACT_SHOT = 2;
const ETH_P_ALL_BE = 0x0300;
const BPF_RET_K = 0x06;
const tcmsgBytes = 20;

function tcmsg(ifindex: number, handle: number, parent: number, info: number, ...attributes: Buffer[]): Buffer {
  const head = Buffer.alloc(tcmsgBytes);
  head.writeInt32LE(ifindex, 4);
  head.writeUInt32LE(handle, 8);
  head.writeUInt32LE(parent, 12);
  head.writeUInt32LE(info, 16);
  return Buffer.concat([head, ...attributes]);
}

/** The device whose qdiscs or filters changed; undefined for other messages. */
export function decodeFilterChange({ type, payload }: NetlinkMessage): number | undefined {
  const isChange = [RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER].includes(type);
  return isChange && payload.length >= tcmsgBytes ? payload.readInt32LE(4) : undefined;
}

/** For a dump of the filters of frames that come in on a device, or leave it. */
export function encodeFilterDump(ifindex: number, way: "ingress" | "egress"): Buffer {
  return tcmsg(ifindex, 0, way === "ingress" ? TC_H_CLSACT_INGRESS : TC_H_CLSACT_EGRESS, 0);
}

/** Whether a message of a dump is a filter. Those without a handle are the heads of lists (tfilter_notify_chain() in net/sched/cls_api.c). */
export function isFilter({ type, payload }: NetlinkMessage): boolean {
  return type === RTM_NEWTFILTER && payload.length >= tcmsgBytes && payload.readUInt32LE(8) !== 0;
}

export function encodeClsact(ifindex: number): Buffer {
  return tcmsg(ifindex, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0, attribute(TCA_KIND, text("clsact")));
}

/**
 * Drops all frames that a device would deliver to its host (classic BPF: return TC_ACT_SHOT). On a bridge these are the frames
 * that guests address to the host itself; bridging and packet sockets keep working.
 */
export function encodeDropDeliveredUp(ifindex: number): Buffer {
  const program = Buffer.alloc(8);
  program.writeUInt16LE(BPF_RET_K, 0);
  program.writeUInt32LE(TC_ACT_SHOT, 4);
  const preference = 1;
  return tcmsg(
    ifindex,
    1,
    TC_H_CLSACT_INGRESS,
    ((preference << 16) | ETH_P_ALL_BE) >>> 0,
    attribute(TCA_KIND, text("bpf")),
    nested(
      TCA_OPTIONS,
      attribute(TCA_BPF_OPS_LEN, u16(1)),
      attribute(TCA_BPF_OPS, program),
      attribute(TCA_BPF_FLAGS, u32(TCA_BPF_FLAG_ACT_DIRECT)),
    ),
  );
}
