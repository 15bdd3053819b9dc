// Look-ups: the answers to a host's questions. They depend on the host: its own VMs are local, and networks that it may not
// know do not exist for it.
import type { AgentNetwork, Answer, Binding, BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import type { Host, Network, Vm } from "../../schema/rest/index.ts";
import type { Attachment, Inventory } from "./inventory.ts";
import { findKnownNetwork } from "./known-networks.ts";

/** A registered binding with all that it derives from. */
export interface Found extends Attachment {
  readonly network: Network;
  readonly host: Host;
  /** Of a nested guest: the interface whose port it has. */
  readonly parent?: Attachment;
}

export function findBound(state: Inventory, key: BindingKey): Found | undefined {
  const network = state.findNetworkByVni(key.vni);
  if (!network) return undefined;
  const attachment = key.kind === "ip" ? state.findByIp(network.name, key.ip) : state.findByMac(network.name, key.mac);
  const host = attachment && state.findHost(attachment.vm.host);
  if (!host) return undefined;
  const parent =
    attachment.interface.parent === undefined ? undefined : state.findInterface(attachment.interface.parent);
  return { ...attachment, network, host, ...(parent ? { parent } : {}) };
}

/** Last change of the binding, its host, its network, or the VM whose port it has. */
export function revisionOf({ vm, host, network, parent }: Found): Revision {
  return Math.max(vm.revision, host.revision, network.revision, parent?.vm.revision ?? 0) as Revision;
}

/**
 * The answer for `host`: a tombstone at `asOf` for unregistered addresses, and in networks that the host may not know.
 */
export function answerFor(state: Inventory, host: string, key: BindingKey, asOf: Revision): Answer {
  return findKnownNetwork(state, host, key.vni)
    ? answerKnown(state, host, key, asOf)
    : { key, revision: asOf, binding: null };
}

/** As `answerFor`, for a host that may know the key's network. */
export function answerKnown(state: Inventory, host: string, key: BindingKey, asOf: Revision): Answer {
  const found = findBound(state, key);
  if (!found) return { key, revision: asOf, binding: null };
  return { key, revision: revisionOf(found), binding: bindingFor(host, found) };
}

/** Whether something is registered under the key, which is in this network. */
export function isBound(state: Inventory, { name }: Network, key: BindingKey): boolean {
  return (key.kind === "ip" ? state.findByIp(name, key.ip) : state.findByMac(name, key.mac)) !== undefined;
}

function bindingFor(host: string, found: Found): Binding {
  const { mac, router } = found.interface;
  const { port } = (found.parent ?? found).interface;
  const local = found.host.name === host;
  return {
    mac,
    host: found.host.name,
    vtep: found.host.vtep,
    vtepPort: found.host.port,
    ...(local ? { local } : {}),
    ...(router ? { router } : {}),
    ...(local && port !== undefined ? { guestPort: port } : {}),
  };
}

/** The keys of a VM's interface, given its network's VNI. */
export function keysOf(attached: Attachment["interface"], vni: Vni): BindingKey[] {
  return [{ kind: "mac", vni, mac: attached.mac }, ...attached.ips.map((ip): BindingKey => ({ kind: "ip", vni, ip }))];
}

/** The keys of all VMs on a host. */
export function localKeys(state: Inventory, host: string): BindingKey[] {
  return [...state.vmsOn(host).values()].flatMap((vm) => keysOfVm(state, vm));
}

/** The keys of a VM. */
export function keysOfVm(state: Inventory, { interfaces }: Pick<Vm, "interfaces">): BindingKey[] {
  return interfaces.flatMap((each) => {
    const network = state.findNetwork(each.network);
    return network ? keysOf(each, network.vni) : [];
  });
}

export function agentNetwork({ name, vni, mtu, revision }: Network): AgentNetwork {
  return { name, vni, mtu, revision };
}
