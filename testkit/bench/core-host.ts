// A host with one network in a namespace of its own, and the agent's core on it.
import { randomBytes } from "node:crypto";
import type { Core, CoreOptions, Guards } from "../../node-agent/core.ts";
import { bridgeName, vxlanName } from "../../node-agent/kernel/devices/device-names.ts";
import { RequestSocket } from "../../node-agent/kernel/sockets/request-socket.ts";
import type { Caps } from "../../node-agent/tables/ageing.ts";
import type { Tables } from "../../node-agent/tables/entry.ts";
import {
  type Answer,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { coreOn, edgesOn } from "../agent-core.ts";
import { ipBatch } from "../lab/command.ts";
import { deleteNamespaces, inNamespace } from "../lab/namespace.ts";

export const vni = parseVni(100);
export const local = { vtep: parseVtep("192.0.2.1"), vtepPort: 4789 };
const epoch = "00000000-0000-4000-8000-000000000001";

type CoreHostOptions = Partial<CoreOptions<Guards>> & Pick<CoreOptions<Guards>, "caps">;

/** So that so many VMs of other hosts, with an IP and a MAC each, are far from every limit. */
export function capsFor(vms: number): Caps {
  return { perNetwork: 4 * vms, perHost: 4 * vms };
}

export class CoreHost {
  readonly device = vxlanName(vni);
  readonly bridge = bridgeName(vni);
  readonly tables: Tables;
  readonly core: Core;
  private readonly requests: RequestSocket;

  private constructor(
    readonly namespace: string,
    options: CoreHostOptions,
  ) {
    this.requests = inNamespace(namespace, () => new RequestSocket());
    const kernel = edgesOn(this.requests);
    this.tables = kernel.tables;
    this.core = coreOn(kernel, options);
  }

  /** With an answer for each of so many VMs of other hosts, cached and in the kernel. */
  static async start(vms: number, options: CoreHostOptions): Promise<CoreHost> {
    const namespace = `nmb${randomBytes(3).toString("hex")}`;
    await ipBatch([`netns add ${namespace}`]);
    try {
      await ipBatch(
        [
          "link set lo up",
          "link add under type veth peer name under-peer",
          `address add ${local.vtep}/24 dev under`,
          "link set under up",
          "link set under-peer up",
        ],
        namespace,
      );
      const host = new CoreHost(namespace, options);
      host.core.held.take(
        Array.from({ length: vms }, (_, n) => answerFor(n)),
        performance.now(),
      );
      host.core.registered.registeredEnd = local;
      await host.core.networks.replace([{ name: "bench", vni, mtu: 1450, revision: parseRevision(1) }], epoch);
      return host;
    } catch (error) {
      await deleteNamespaces([namespace]);
      throw error;
    }
  }

  /** Devices, entries and ports, from fresh dumps, as the agent's timer has it. */
  async reconcile(): Promise<void> {
    this.core.networks.look("timer");
    await this.core.networks.idle;
  }

  /** Entries in the kernel. */
  async entries(): Promise<number> {
    return (await this.tables.list(vni)).length;
  }

  /** Operations of all reconciles so far. */
  get repairs(): number {
    return this.core.networks.repairs.get("timer") ?? 0;
  }

  async remove(): Promise<void> {
    await this.core.close();
    this.requests.close();
    await deleteNamespaces([this.namespace]);
  }
}

/** Of ten other hosts. */
export const vteps = Array.from({ length: 10 }, (_, n) => parseVtep(`192.0.2.${10 + n}`));

/** VM number `n` of these hosts; as in native/write-entries.c. @param n 0 … 16,777,215 */
export function placeOf(n: number) {
  const bytes = [(n >> 16) & 255, (n >> 8) & 255, n & 255];
  return {
    mac: parseMac(`52:54:00:${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`),
    ip: parseIp(`10.${bytes.join(".")}`),
    host: `host-${n % vteps.length}`,
    vtep: vteps[n % vteps.length] as VtepAddress,
  };
}

export function answerFor(n: number): Answer {
  const { mac, ip, host, vtep } = placeOf(n);
  const binding = { mac, host, vtep, vtepPort: local.vtepPort };
  return { key: { kind: "ip", vni, ip }, revision: parseRevision(n + 1), binding };
}
