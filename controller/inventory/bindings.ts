// Look-ups: the answers to a host's questions. They depend on the host: its own VMs are local, and networks that it may not
// know do not exist for it.
import {
  type AgentNetwork,
  type Answer,
  type Binding,
  type BindingKey,
  findWholeKnowledge,
  type MacAddress,
  type Revision,
  type Vni,
} from "../../schema/address/index.ts";
import { effectiveKnowledge } from "../../schema/plain/index.ts";
import type { AllowedAddress, Host, Network, Vm } from "../../schema/rest/index.ts";
import type { Attachment, Inventory } from "./inventory.ts";
import { findKnownNetwork } from "./known-networks.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A registered binding with all that it derives from. */
export interface Found {
  readonly network: Network;
  readonly host: Host;
  readonly mac: MacAddress;
  readonly router?: true;
  /** Of the host's devices, also where it is the port of the interface in which this one is nested. */
  readonly port?: string;
  readonly allowed?: readonly AllowedAddress[];
  /** Last change of the binding, its host, its network, or the VM whose port it has. */
  readonly revision: Revision;
}

export function findBound(state: Inventory, key: BindingKey): Found | undefined {
  const network = state.findNetworkByVni(key.vni);
  return network && findBoundIn(state, network, key);
}

/** @param network of the key's VNI */
function findBoundIn(state: Inventory, network: Network, key: BindingKey): Found | undefined {
  const located = state.locate(network.name, key);
  const host = located && state.findHost(located.host);
  if (!host) return undefined;
  const parent = located.parent === undefined ? undefined : state.findInterface(located.parent);
  const port = parent ? parent.interface.port : located.port;
  const revision = Math.max(located.revision, host.revision, network.revision, parent?.vm.revision ?? 0) as Revision;
  // Not spread from parts: every question passes through here.
  const found: Writable<Found> = { network, host, mac: located.mac, revision };
  if (located.router) found.router = true;
  if (port !== undefined) found.port = port;
  if (located.allowed) found.allowed = located.allowed;
  return found;
}

/** The name of the VM with the binding that was found for the key. */
export function getOwner(state: Inventory, { network: { name } }: Found, key: BindingKey): string {
  const owner = key.kind === "ip" ? state.findOwnerOfIp(name, key.ip) : state.findOwnerOfMac(name, key.mac);
  if (owner === undefined) throw new Error("the binding is of another inventory");
  return owner;
}

/**
 * The answer for `host`: a tombstone at `asOf` for unregistered addresses, and in networks that the host may not know.
 */
export function answerFor(state: Inventory, host: string, key: BindingKey, asOf: Revision): Answer {
  const network = findKnownNetwork(state, host, key.vni);
  return network ? answerKnown(state, host, key, asOf, network) : { key, revision: asOf, binding: null };
}

/** As `answerFor`, for a host that may know the key's network. @param network of the key's VNI, where it is at hand */
export function answerKnown(
  state: Inventory,
  host: string,
  key: BindingKey,
  asOf: Revision,
  network?: Network,
): Answer {
  const found = network ? findBoundIn(state, network, key) : findBound(state, key);
  if (!found) return { key, revision: asOf, binding: null };
  return { key, revision: found.revision, binding: bindingFor(host, found) };
}

/** Whether something is registered under the key, which is in this network. */
export function isBound(state: Inventory, { name }: Network, key: BindingKey): boolean {
  const owner = key.kind === "ip" ? state.findOwnerOfIp(name, key.ip) : state.findOwnerOfMac(name, key.mac);
  return owner !== undefined;
}

function bindingFor(asking: string, { mac, host, router, port, allowed }: Found): Binding {
  const binding: Writable<Binding> = { mac, host: host.name, vtep: host.vtep, vtepPort: host.port };
  if (router) binding.router = true;
  if (host.name !== asking) return binding;
  binding.local = true;
  if (port !== undefined) binding.guestPort = port;
  if (allowed) binding.allowed = allowed.map(({ ip }) => ip);
  return binding;
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

/** Broadcasts of its guests are copied to all hosts of the network. */
export const isReplicated = ({ broadcast }: Pick<Network, "broadcast">): boolean => broadcast === "replicate";

export function agentNetwork(network: Network): AgentNetwork {
  const { name, vni, mtu, revision } = network;
  const whole = findWholeKnowledge(effectiveKnowledge(network));
  const modes = {
    ...(whole ? { knowledge: whole } : {}),
    ...(isReplicated(network) ? { broadcast: "replicate" as const } : {}),
  };
  return { name, vni, mtu, revision, ...modes };
}
