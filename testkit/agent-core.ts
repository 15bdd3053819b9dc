// The agent's core for tests and benches, on whatever kernel they give it: no guards, no log, and no controller unless `uplink` is
// attached to one.
import { pino } from "pino";
import { Slices } from "../common/cooperative.ts";
import { Uplink } from "../node-agent/controller-link/uplink.ts";
import {
  type Clock,
  type Core,
  type CoreOptions,
  createCore,
  type Guards,
  type KernelEdges,
} from "../node-agent/core.ts";
import { BridgePorts } from "../node-agent/kernel/devices/bridge-ports.ts";
import { NetworkDevices } from "../node-agent/kernel/devices/network-devices.ts";
import type { RequestSocket } from "../node-agent/kernel/sockets/request-socket.ts";
import { KernelTables } from "../node-agent/kernel/tables/kernel-tables.ts";
import { defaultCaps } from "../node-agent/tables/ageing.ts";
import { nothingHidden } from "../node-agent/tables/entry.ts";

const noGuards: Guards = { following: [], underlay: undefined, around: [] };

/** A miss socket that hears nothing. */
const noMisses = { drops: () => 0, shutOut: () => {} };

export const processClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: Date.now,
  random: () => 0.5,
  turns: new Slices(2, true),
  afterReading: setImmediate,
  later: (ms, callback) => void setTimeout(callback, ms).unref(),
};

/** A kernel without anything in it, which takes everything and keeps nothing. */
export const inertEdges: KernelEdges = {
  devices: {
    survey: () => undefined,
    hasLeftovers: false,
    deviceOf: () => undefined,
    vniOfBridge: () => undefined,
    vnis: () => [],
    epochOf: () => undefined,
    adoptedFor: () => undefined,
    disown: async () => {},
    isDisowned: () => false,
    ensure: async () => [],
    portWarnings: async () => [],
    remove: async () => {},
    sweep: async () => {},
  },
  bridgePorts: { list: async () => [], find: async () => undefined, apply: async () => [] },
  tables: {
    apply: async (operations) => operations.map((operation) => ({ operation, ok: true })),
    list: async () => [],
    hiding: () => nothingHidden,
    idleMs: async () => new Map(),
  },
  misses: noMisses,
  guests: undefined,
};

/** A real kernel, in whose namespace `requests` was opened. */
export function edgesOn(requests: RequestSocket, devices = new NetworkDevices(requests)): KernelEdges {
  return {
    devices,
    bridgePorts: new BridgePorts(requests),
    tables: new KernelTables(requests, devices.deviceOf),
    misses: noMisses,
    guests: undefined,
  };
}

export function coreOn(kernel: KernelEdges, others: Partial<CoreOptions<Guards>> = {}): Core {
  return createCore({
    host: "a",
    idleMs: Number.POSITIVE_INFINITY,
    caps: defaultCaps,
    kernel,
    uplink: new Uplink(),
    clock: processClock,
    openGuards: () => noGuards,
    trust: () => {},
    log: pino({ level: "silent" }),
    ...others,
  });
}
