// What can be asked of a host, laid over a draft.
import { type Host, type HostPatch, type HostSpec, patchHost, type Vm } from "../../schema/rest/index.ts";
import type { DecisionContext } from "./decision-context.ts";
import type { Draft } from "./draft.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import { Refusal } from "./refusal.ts";
import { type Deletion, getOr404, refuseTaken, renewed } from "./renewal.ts";
import { withoutPreparation } from "./vm-mutations.ts";

export type HostMutation =
  | { readonly kind: "host.create"; readonly spec: HostSpec }
  | { readonly kind: "host.put"; readonly spec: HostSpec }
  | { readonly kind: "host.patch"; readonly name: string; readonly patch: HostPatch }
  /** An agent's word on its own host: it counts until an operator has spoken. */
  | { readonly kind: "host.register"; readonly spec: HostSpec }
  /** `force`: with all its VMs; the host must be marked down. */
  | ({ readonly kind: "host.delete"; readonly force?: boolean } & Deletion)
  /** All VMs of the host, spread over others. */
  | { readonly kind: "host.evacuate"; readonly name: string; readonly to: readonly string[] };

export function applyHostMutation(
  draft: Draft,
  mutation: HostMutation & { readonly expect?: Expectation },
  context: DecisionContext,
): void {
  const name = "spec" in mutation ? mutation.spec.name : mutation.name;
  const current = draft.findHost(name);
  if (draft.scope !== "all") getOr404("host", name, undefined);
  checkExpectation(`host "${name}"`, current, mutation.expect);
  // A replacement of the host without the field `down` keeps its value.
  const put = ({ down = current?.down, ...spec }: HostSpec) =>
    draft.putHost(name, renewed<HostSpec, Host>(current, { ...spec, ...(down ? { down } : {}) }, context));
  switch (mutation.kind) {
    case "host.create":
      refuseTaken("host", current);
      put(mutation.spec);
      return;
    case "host.put":
      put(mutation.spec);
      return;
    case "host.patch":
      put(patchHost(getOr404("host", name, current), mutation.patch));
      return;
    case "host.register":
      if (current?.origin === "operator") return;
      put({ ...mutation.spec, ...(current ? { labels: current.labels, description: current.description } : {}) });
      return;
    case "host.delete":
      if (mutation.ifPresent && !current) {
        draft.noteUnfound("host", name);
        return;
      }
      if (mutation.force) clear(draft, getOr404("host", name, current), context);
      getOr404("host", name, current);
      draft.putHost(name, null);
      return;
    case "host.evacuate":
      evacuate(draft, getOr404("host", name, current), mutation.to, context);
  }
}

/** Its VMs are deleted with it, and migrations to it end. */
function clear(draft: Draft, host: Host, context: DecisionContext): void {
  const vms = [...draft.vmsOn(host.name)];
  if (vms.length > 0 && !host.down) {
    const detail =
      `host "${host.name}" runs ${vms.length} VMs and is not marked down: deleting it by force would delete them too. ` +
      `If it is dead, mark it down first (PATCH /v1/hosts/${host.name} {"down": true})`;
    throw new Refusal("in-use", detail);
  }
  for (const { name } of vms) draft.putVm(name, null);
  for (const vm of [...draft.vmsPreparedOn(host.name)]) draft.putVm(vm.name, withoutPreparation(vm, context));
}

/**
 * Sorted by name, each to the host with the fewest VMs at that point, so the result is deterministic. Nested guests move
 * with their parents.
 */
function evacuate(draft: Draft, { name }: Host, to: readonly string[], context: DecisionContext): void {
  if (to.includes(name)) throw new Refusal("invalid-input", `to: "${name}" is the host that is being evacuated`);
  const targets = to.map((target) => {
    if (!draft.findHost(target)) throw new Refusal("unknown-reference", `to: no host is named "${target}"`);
    return { host: target, count: [...draft.vmsOn(target)].length };
  });
  const vms = [...draft.vmsOn(name)].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const group of nestedTogether(vms)) {
    const target = targets.reduce((a, b) => (b.count < a.count ? b : a));
    target.count += group.length;
    for (const { preparedHost: _, ...vm } of group) {
      draft.putVm(vm.name, { ...vm, host: target.host, revision: context.revision } satisfies Vm);
    }
  }
}

/** VMs in groups that share ports, each at the place of its first VM. */
function nestedTogether(vms: readonly Vm[]): Vm[][] {
  const groups = new Map(vms.map((vm) => [vm.name, [vm]]));
  for (const vm of vms) {
    for (const { parent } of vm.interfaces) {
      const into = parent === undefined ? undefined : groups.get(parent.split("/")[0] ?? "");
      const from = groups.get(vm.name);
      if (!into || !from || into === from) continue;
      into.push(...from);
      for (const { name } of from) groups.set(name, into);
    }
  }
  return [...new Set(vms.flatMap(({ name }) => [groups.get(name) ?? []]))];
}
