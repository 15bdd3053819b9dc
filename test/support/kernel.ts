// Common parts of kernel tests: a separate namespace, and the agent's kernel parts inside it.
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { afterAll, beforeAll, describe } from "vitest";
import type { Core } from "../../node-agent/core.ts";
import { NetworkDevices } from "../../node-agent/kernel/devices/network-devices.ts";
import { RequestSocket } from "../../node-agent/kernel/sockets/request-socket.ts";
import { KernelTables } from "../../node-agent/kernel/tables/kernel-tables.ts";
import type { Tables } from "../../node-agent/tables/entry.ts";
import type { AgentNetwork } from "../../schema/address/index.ts";
import { coreOn, edgesOn } from "../../testkit/agent-core.ts";
import { run } from "../../testkit/lab/command.ts";
import { deleteNamespaces, inNamespace, Namespace } from "../../testkit/lab/namespace.ts";
import { rev, vni, vtep } from "./addresses.ts";

const isRoot = process.getuid?.() === 0;

/** Kernel tests need root. In CI a skip is a failure: there they run and fail. */
export const describeKernel = describe.skipIf(!isRoot && process.env.CI !== "true");

export interface KernelHost {
  namespace: Namespace;
  requests: RequestSocket;
  devices: NetworkDevices;
  tables: KernelTables;
}

/** Of the store that the devices are made for. */
export const epoch = "00000000-0000-4000-8000-000000000001";

/** This host's tunnel end in `kernelHost`. */
export const localVtep = { vtep: vtep("192.0.2.200"), vtepPort: 4789 };

export function agentNetwork(number: number, fields: Partial<AgentNetwork> = {}): AgentNetwork {
  return { name: `net${number}`, vni: vni(number), mtu: 1450, revision: rev(1), ...fields };
}

/** The agent's core on this kernel, with a tunnel end. */
export function kernelCore(
  { devices, requests, tables }: KernelHost,
  others: { readonly tables?: Tables; readonly log?: Logger } = {},
): Core {
  const core = coreOn(
    { ...edgesOn(requests, devices), tables: others.tables ?? tables },
    others.log && { log: others.log },
  );
  core.registered.registeredEnd = localVtep;
  return core;
}

/** A namespace with an underlay device, and the agent's kernel parts in it, for the tests of the calling block. */
export function kernelHost(): KernelHost {
  const host = {} as KernelHost;
  beforeAll(async () => {
    const name = `nmt-${randomBytes(4).toString("hex")}`;
    await run(["ip", "netns", "add", name]);
    host.namespace = new Namespace(name);
    await host.namespace.ip(
      "link set lo up",
      "link add under type veth peer name under-peer",
      "address add 192.0.2.200/24 dev under",
      "address add 2001:db8::200/64 dev under nodad",
      "link set under up",
      "link set under-peer up",
    );
    host.requests = inNamespace(name, () => new RequestSocket());
    host.devices = new NetworkDevices(host.requests);
    host.tables = new KernelTables(host.requests, host.devices.deviceOf);
  });
  afterAll(async () => {
    host.requests?.close();
    if (host.namespace) await deleteNamespaces([host.namespace.namespace]);
  });
  return host;
}
