// What can be asked of a VM, laid over a draft.
import type { IpAddress } from "../../schema/address/index.ts";
import {
  type NetworkScope,
  patchVm,
  type Vm,
  type VmPatch,
  type VmRequest,
  type VmSpec,
} from "../../schema/rest/index.ts";
import { assignAddresses, type Claims, keepAssigned } from "./assign.ts";
import type { DecisionContext } from "./decision-context.ts";
import type { Draft } from "./draft.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import { Refusal } from "./refusal.ts";
import { type Deletion, getOr404, refuseTaken, renewed } from "./renewal.ts";
import { takeAddress, withTaken } from "./taken-addresses.ts";

export type VmMutation =
  | { readonly kind: "vm.create"; readonly spec: VmRequest }
  | { readonly kind: "vm.put"; readonly spec: VmRequest }
  | { readonly kind: "vm.patch"; readonly name: string; readonly patch: VmPatch }
  | ({ readonly kind: "vm.delete" } & Deletion)
  /** A live migration to `host` begins: it gets the VM's networks, and the VM stays where it is. */
  | { readonly kind: "vm.prepare"; readonly name: string; readonly host: string }
  /** The VM runs on the host that was prepared; `host`: the one that it is meant to be. */
  | { readonly kind: "vm.commit"; readonly name: string; readonly host?: string }
  /** It stays where it is. */
  | { readonly kind: "vm.abort"; readonly name: string }
  /** A guest has announced an address of `allowedAddresses`. */
  | { readonly kind: "vm.take"; readonly name: string; readonly interface: string; readonly ip: IpAddress };

export function applyVmMutation(
  draft: Draft,
  mutation: VmMutation & { readonly expect?: Expectation },
  claims: Claims,
  context: DecisionContext,
): void {
  const name = "spec" in mutation ? mutation.spec.name : mutation.name;
  const current = draft.findVm(name);
  checkExpectation(`VM "${name}"`, current, mutation.expect);
  const put = (request: VmRequest) => {
    const assigned = withTaken(draft, current, assignAddresses(draft, request, claims, context.addresses));
    // A migration belongs to the host that the VM is on: moving the VM elsewhere ends it.
    const { preparedHost } = current?.host === assigned.host ? current : {};
    const owners = assigned.interfaces.length === 0 ? (assigned.ownerNetworks ?? ownersOf(current, draft.scope)) : [];
    const spec = {
      ...assigned,
      ...(preparedHost === undefined ? {} : { preparedHost }),
      ...(owners.length === 0 ? {} : { ownerNetworks: owners }),
    };
    draft.putVm(name, renewed<VmSpec, Vm>(current, spec, context));
  };
  switch (mutation.kind) {
    case "vm.create":
      refuseTaken("VM", current);
      put(mutation.spec);
      return;
    case "vm.put":
      put(keepAssigned(current, mutation.spec));
      return;
    case "vm.patch":
      put(patchVm(getOr404("VM", name, current), mutation.patch));
      return;
    case "vm.delete":
      if (mutation.ifPresent && !current) {
        draft.noteUnfound("vm", name);
        return;
      }
      getOr404("VM", name, current);
      draft.putVm(name, null);
      return;
    case "vm.prepare":
      draft.putVm(name, prepared(getOr404("VM", name, current), mutation.host, context));
      return;
    case "vm.commit":
      draft.putVm(name, committed(getOr404("VM", name, current), mutation.host, context));
      return;
    case "vm.abort":
      draft.putVm(name, withoutPreparation(getOr404("VM", name, current), context));
      return;
    case "vm.take":
      takeAddress(draft, getOr404("VM", name, current), mutation, context);
  }
}

/** Of a VM that is to have no interfaces, where the request names none: those it has, or those of the token that makes it. */
function ownersOf(current: Vm | undefined, scope: NetworkScope): readonly string[] {
  if (!current) return scope === "all" ? [] : [...scope].sort();
  if (current.interfaces.length === 0) return current.ownerNetworks ?? [];
  return [...new Set(current.interfaces.map(({ network }) => network))].sort();
}

/** The same object where the same host is prepared already. @throws Refusal */
function prepared(vm: Vm, host: string, { revision }: DecisionContext): Vm {
  if (vm.preparedHost === host) return vm;
  if (vm.host === host) throw new Refusal("migration-conflict", `VM "${vm.name}" is on host "${host}" already`);
  if (vm.preparedHost !== undefined) {
    const detail = `VM "${vm.name}" is being migrated to host "${vm.preparedHost}": commit that first, or abort it`;
    throw new Refusal("migration-conflict", detail);
  }
  return { ...vm, preparedHost: host, revision };
}

/** The same object where the VM is on `host` already: a commit may be sent again. @throws Refusal */
function committed(vm: Vm, host: string | undefined, { revision }: DecisionContext): Vm {
  const { preparedHost, ...rest } = vm;
  if (preparedHost === undefined) {
    if (vm.host === host) return vm;
    const detail = `VM "${vm.name}" is on host "${vm.host}", and no other is prepared for it: prepare one first, or move it`;
    throw new Refusal("migration-conflict", detail);
  }
  if (host !== undefined && host !== preparedHost) {
    const detail = `VM "${vm.name}" is being migrated to host "${preparedHost}", not to "${host}"`;
    throw new Refusal("migration-conflict", detail);
  }
  return { ...rest, host: preparedHost, revision };
}

/** The same object where no host is prepared. */
export function withoutPreparation(vm: Vm, { revision }: DecisionContext): Vm {
  const { preparedHost, ...rest } = vm;
  return preparedHost === undefined ? vm : { ...rest, revision };
}
