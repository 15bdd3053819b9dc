// What a host's report means in the inventory: whose condition it is, and whether what the host accuses is allowed. Pure.
import { type MacAddress, parseIp, parseMac } from "../../schema/address/index.ts";
import type { ReportedCondition } from "../../schema/agent/index.ts";
import { movableIps, type Network } from "../../schema/rest/index.ts";
import { hostsOf } from "../inventory/hosts-of.ts";
import type { Attachment, Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";

/** A condition with the resources that it names, as they are registered now. */
export interface JudgedCondition extends ReportedCondition {
  readonly network?: Network;
  /** Name of the VM. */
  readonly vm?: string;
}

/** @returns undefined where it is none: the inventory allows it, or it is about what is not registered any more */
export function judgeCondition(state: Inventory, host: string, facts: ReportedCondition): JudgedCondition | undefined {
  if (facts.vni === undefined) return aboutHost(state, host, facts);
  const network = findKnownNetwork(state, host, facts.vni);
  if (!network) return undefined;
  const { kind, values } = facts;
  const at = (mac: string | undefined): Attachment | undefined =>
    mac === undefined ? undefined : state.findByMac(network.name, parseMac(mac));
  switch (kind) {
    case "wrong-port":
    case "guest-never-seen": {
      const guest = at(values.mac);
      return guest?.vm.host === host ? { ...facts, network, vm: guest.vm.name } : undefined;
    }
    case "unregistered-guest": {
      const guest = at(values.mac);
      if (!guest) return { ...facts, network };
      // A VM that is being migrated here may send before the migration is committed.
      return hostsOf(guest.vm).includes(host) ? undefined : { ...facts, network, vm: guest.vm.name };
    }
    case "mac-conflict": {
      const owner = at(values.mac);
      // Also where it is being migrated to.
      return !owner || hostsOf(owner.vm).includes(host) ? undefined : { ...facts, network, vm: owner.vm.name };
    }
    case "address-conflict":
    case "address-unregistered":
      return judgeAddress(state, host, facts, network, at(values.mac));
    case "mtu-too-large":
      // The host has not followed a change of the network yet.
      return values.mtu === String(network.mtu) ? { ...facts, network } : undefined;
    default:
      return { ...facts, network };
  }
}

/** An address that a guest uses: the inventory says whose it is, and not what the host has cached. */
function judgeAddress(
  state: Inventory,
  host: string,
  facts: ReportedCondition,
  network: Network,
  user: Attachment | undefined,
): JudgedCondition | undefined {
  const { ip = "", mac = "" } = facts.values;
  const owner = state.findByIp(network.name, parseIp(ip));
  if (!owner) {
    if (user && movableIps(user.interface).includes(parseIp(ip))) return undefined;
    const isHere = user !== undefined && hostsOf(user.vm).includes(host);
    if (!isHere) return undefined;
    return { ...facts, kind: "address-unregistered", reason: "used", values: { ip, mac }, network, vm: user.vm.name };
  }
  // A VM with several interfaces in a network may use the address of one on another, as Linux does by default (arp_announce).
  if (owner.interface.mac === mac || owner.vm.name === user?.vm.name) return undefined;
  // It may take the address, and its agent says so when it does.
  if (user && movableIps(user.interface).includes(parseIp(ip))) return undefined;
  const reason = owner.vm.host === host ? "here" : "elsewhere";
  const values = { ip, mac, owner: owner.interface.mac as MacAddress };
  return { ...facts, kind: "address-conflict", reason, values, network, vm: owner.vm.name };
}

function aboutHost(state: Inventory, host: string, facts: ReportedCondition): JudgedCondition | undefined {
  if (facts.kind !== "vtep-missing") return facts;
  // The host has not followed a change of its VTEP yet.
  return state.findHost(host)?.vtep === facts.values.vtep ? facts : undefined;
}
