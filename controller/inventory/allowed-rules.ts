// An address that moves between interfaces belongs to none of them alone: the one that has it must be allowed it, as the others are.
import type { IpAddress } from "../../schema/address/index.ts";
import { movableIps, type Network, ownIps, type Vm } from "../../schema/rest/index.ts";
import { addressKey, type TakenPlaces } from "./claims.ts";
import type { Draft } from "./draft.ts";
import type { Attachment } from "./inventory.ts";
import { Refusal } from "./refusal.ts";
import { narrowVm } from "./scope.ts";
import { findAddressFault } from "./subnet-rules.ts";

/** Among what VMs of a change set take, beside the keys of addresses that they have. */
export const allowedKey = (network: string, ip: IpAddress): string => addressKey(`allowed ${network}`, ip);

export function* allowedPlaces({ interface: { network, ...each } }: Attachment): Generator<string> {
  for (const ip of movableIps(each)) yield allowedKey(network, ip);
}

/** Against VMs of the change set before it, and those that the change set leaves alone. */
export function checkAllowed(draft: Draft, claims: TakenPlaces, vm: Vm): void {
  for (const each of vm.interfaces) {
    const { network } = each;
    const own: Attachment = { vm, interface: each };
    const isOther = (other: Attachment): boolean => other.vm.name !== vm.name || other.interface.name !== each.name;
    const standing = (found: readonly Attachment[]): Attachment[] =>
      found.filter((other) => !draft.vms.has(other.vm.name));
    for (const ip of ownIps(each)) {
      const allowing = [
        ...claims.find(allowedKey(network, ip)),
        ...standing(draft.base.interfacesAllowing(network, ip)),
      ];
      const other = allowing.find(isOther);
      if (other) throw conflict(draft, own, other, ip, "may be taken by");
    }
    for (const ip of movableIps(each)) {
      const owner = draft.base.findByIp(network, ip);
      const having = [...claims.find(addressKey(network, ip)), ...standing(owner ? [owner] : [])];
      const other = having.find((found) => isOther(found) && !movableIps(found.interface).includes(ip));
      if (other) throw conflict(draft, own, other, ip, "belongs to");
    }
    for (const place of allowedPlaces(own)) claims.add(place, own);
  }
}

/** The network's subnets change: what VMs outside of the change set may take must still be in one. */
export function checkAllowedWithin(draft: Draft, network: Network): void {
  for (const { vm, interface: each } of draft.base.interfacesAllowingIn(network.name)) {
    if (draft.vms.has(vm.name)) continue;
    for (const ip of movableIps(each)) {
      const fault = findAddressFault(network, ip);
      if (!fault) continue;
      const detail = `VM "${vm.name}" is allowed ${ip} in network "${network.name}", but then ${fault}: change the VM first`;
      throw new Refusal("in-use", detail);
    }
  }
}

function conflict(draft: Draft, own: Attachment, other: Attachment, ip: IpAddress, how: string): Refusal {
  const { network } = own.interface;
  const whose = narrowVm(draft.scope, other.vm) ? describe(other) : "another VM";
  const detail =
    `${describe(own)}: ${ip} ${how} ${whose} in network "${network}": an address that moves is in the allowedAddresses of each ` +
    "interface that may have it. Add it there, or take another";
  return new Refusal("address-taken", detail);
}

function describe({ vm, interface: { name } }: Attachment): string {
  return `VM "${vm.name}", interface "${name}"`;
}
