// The kernel's side of the agent: sockets, devices and tables, opened in the calling thread's network namespace.
import type { Adoptable } from "./kernel/devices/adoption.ts";
import { BridgePorts } from "./kernel/devices/bridge-ports.ts";
import { NetworkDevices } from "./kernel/devices/network-devices.ts";
import { HostRuleTables } from "./kernel/filters/host-rule-tables.ts";
import { openGuestEdge } from "./kernel/sockets/guest-sockets.ts";
import { MissSocket } from "./kernel/sockets/miss-socket.ts";
import { RequestSocket } from "./kernel/sockets/request-socket.ts";
import { KernelTables } from "./kernel/tables/kernel-tables.ts";

export interface KernelOptions {
  /** Third-party vxlan devices that may serve a network here. */
  readonly adoptable: Adoptable;
  /** Hear guests, and send answers to those that wait. */
  readonly announce: boolean;
}

export type Kernel = ReturnType<typeof openKernel>;

/** @throws SystemCallError, NetlinkError where the kernel refuses */
export function openKernel({ adoptable, announce }: KernelOptions) {
  const requests = new RequestSocket();
  const hostRules = HostRuleTables.open();
  const devices = new NetworkDevices(requests, { adoptable, hostRules });
  const misses = new MissSocket(devices.vniOf);
  return {
    requests,
    hostRules,
    devices,
    bridgePorts: new BridgePorts(requests),
    tables: new KernelTables(requests, devices.deviceOf),
    misses,
    guests: announce ? openGuestEdge(requests) : undefined,
    close: () => {
      misses.close();
      hostRules?.close();
      requests.close();
    },
  };
}
