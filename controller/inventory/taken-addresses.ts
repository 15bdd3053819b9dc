// Addresses that several interfaces may have, and one of them has: it keeps the address until another one takes it. What an operator
// writes about a VM does not take it away, since the file that it comes from does not know which guest has it now.
import type { IpAddress } from "../../schema/address/index.ts";
import { type InterfaceSpec, movableIps, ownIps, type Vm, type VmSpec } from "../../schema/rest/index.ts";
import type { DecisionContext } from "./decision-context.ts";
import type { Draft } from "./draft.ts";
import type { Attachment } from "./inventory.ts";
import { Refusal } from "./refusal.ts";

/** What the VM has stays, and what it names in `ips` is given to it if no other interface has it. */
export function withTaken(draft: Draft, current: Vm | undefined, spec: VmSpec): VmSpec {
  if (spec.interfaces.every(({ allowedAddresses }) => !allowedAddresses)) return spec;
  const interfaces = spec.interfaces.map((each): InterfaceSpec => {
    const { name, network, ips } = each;
    const movable = movableIps(each);
    if (movable.length === 0) return each;
    const before = current?.interfaces.find((was) => was.name === name && was.network === network);
    const isFree = (ip: IpAddress): boolean => draft.base.findOwnerOfIp(network, ip) === undefined;
    const taken = movable.filter((ip) => before?.ips.includes(ip) || (ips.includes(ip) && isFree(ip)));
    return { ...each, ips: [...ownIps(each), ...taken] };
  });
  return { ...spec, interfaces };
}

/** The interface has the address from now on, and no other one. @throws Refusal where it may not have it, or another interface has it as its own */
export function takeAddress(
  draft: Draft,
  vm: Vm,
  { interface: name, ip }: { readonly interface: string; readonly ip: IpAddress },
  context: DecisionContext,
): void {
  const taker = vm.interfaces.find((each) => each.name === name);
  if (!taker || !movableIps(taker).includes(ip)) {
    const detail = `VM "${vm.name}", interface "${name}" is not allowed ${ip}: add it to its allowedAddresses`;
    throw new Refusal("forbidden", detail);
  }
  if (taker.ips.includes(ip)) {
    draft.putVm(vm.name, vm);
    return;
  }
  const { network } = taker;
  const owner = draft.base.findByIp(network, ip);
  if (owner) give(draft, owner, ip, context);
  // The owner may be another interface of the same VM.
  const found = draft.findAnyVm(vm.name) ?? vm;
  const interfaces = found.interfaces.map((each) => {
    if (each.name !== name) return each;
    const taken = movableIps(each).filter((one) => one === ip || each.ips.includes(one));
    return { ...each, ips: [...ownIps(each), ...taken] };
  });
  draft.putVm(vm.name, { ...found, interfaces, revision: context.revision });
}

function give(draft: Draft, { vm, interface: has }: Attachment, ip: IpAddress, context: DecisionContext): void {
  if (!movableIps(has).includes(ip)) {
    const detail = `${ip} belongs to VM "${vm.name}", interface "${has.name}", which does not share it`;
    throw new Refusal("address-taken", detail);
  }
  const interfaces = vm.interfaces.map((each) =>
    each.name === has.name ? { ...each, ips: each.ips.filter((one) => one !== ip) } : each,
  );
  draft.putVm(vm.name, { ...vm, interfaces, revision: context.revision });
}
