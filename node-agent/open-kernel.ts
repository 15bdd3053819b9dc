// The kernel's side of the agent: sockets, devices and tables, opened in the calling thread's network namespace.
import type { Adoptable } from "./kernel/devices/adoption.ts";
import { BridgePorts } from "./kernel/devices/bridge-ports.ts";
import { NetworkDevices } from "./kernel/devices/network-devices.ts";
import { readBridgePorts, readDeviceMac } from "./kernel/devices/port-devices.ts";
import { Routes } from "./kernel/devices/routes.ts";
import { HostRuleTables } from "./kernel/filters/host-rule-tables.ts";
import { MissThread } from "./kernel/miss-thread/miss-thread.ts";
import { ClaimSocket } from "./kernel/sockets/claim-socket.ts";
import { FrameSender, openGuestEdge } from "./kernel/sockets/guest-sockets.ts";
import { MissSocket } from "./kernel/sockets/miss-socket.ts";
import { ReportSocket } from "./kernel/sockets/report-sockets.ts";
import { RequestSocket } from "./kernel/sockets/request-socket.ts";
import { KernelTables } from "./kernel/tables/kernel-tables.ts";

export interface KernelOptions {
  /** Third-party vxlan devices that may serve a network here. */
  readonly adoptable: Adoptable;
  /** Hear guests, and send answers to those that wait. */
  readonly announce: boolean;
  /** A thread answers misses of networks in memory; `warm`: and is kept warm. Default: off. It needs `announce`. */
  readonly fastPath?: FastPath;
}

export const fastPaths = ["warm", "cold", "off"] as const;
export type FastPath = (typeof fastPaths)[number];

export type Kernel = ReturnType<typeof openKernel>;

/** @throws SystemCallError, NetlinkError where the kernel refuses */
export function openKernel({ adoptable, announce, fastPath = "off" }: KernelOptions) {
  const requests = new RequestSocket();
  const hostRules = HostRuleTables.open();
  const devices = new NetworkDevices(requests, { adoptable, hostRules });
  const misses = new MissSocket(devices.vniOf);
  const missThread =
    announce && fastPath !== "off" ? new MissThread(misses, devices.vniOf, fastPath === "warm") : undefined;
  const sender = new FrameSender();
  return {
    requests,
    hostRules,
    devices,
    bridgePorts: new BridgePorts(requests),
    tables: new KernelTables(requests, devices.deviceOf),
    routes: new Routes(requests),
    misses,
    missThread,
    guests: announce ? openGuestEdge(requests) : undefined,
    listen: (ifindex: number) => new ClaimSocket(ifindex),
    groups: {
      hear: (ifindex: number, on: "port" | "bridge") => new ReportSocket(ifindex, on),
      send: (frame: Buffer, ifindex: number) => sender.send(frame, ifindex),
      portsOf: readBridgePorts,
      macOf: readDeviceMac,
    },
    close: () => {
      missThread?.close();
      misses.close();
      sender.close();
      hostRules?.close();
      requests.close();
    },
  };
}
