// From what was asked to what changes: mutations against a state become a change set, or a refusal that says why.
// Nothing is applied here, and nothing is read but the arguments.
import { isDeepStrictEqual } from "node:util";
import type {
  Host,
  HostSpec,
  InterfaceSpec,
  Network,
  NetworkScope,
  NetworkSpec,
  ResourceChange,
  Revision,
  Vm,
  VmSpec,
} from "../../schema/index.ts";
import { Draft } from "./draft.ts";
import type { Inventory } from "./inventory.ts";
import { Refusal } from "./refusal.ts";
import { checkRules, type OnRefusal } from "./rules.ts";
import { findBreaches } from "./scope.ts";
import { atOnce, type Steps } from "./steps.ts";

export type Mutation =
  | { readonly kind: "network.put"; readonly spec: NetworkSpec }
  | { readonly kind: "network.delete"; readonly name: string }
  | { readonly kind: "host.put"; readonly spec: HostSpec }
  /** An agent's word on its own host: it counts until an operator has spoken. */
  | { readonly kind: "host.register"; readonly spec: HostSpec }
  | { readonly kind: "host.delete"; readonly name: string }
  | { readonly kind: "vm.create"; readonly spec: VmSpec }
  | { readonly kind: "vm.put"; readonly spec: VmSpec }
  | {
      readonly kind: "vm.patch";
      readonly name: string;
      readonly host?: string;
      readonly interfaces?: readonly InterfaceSpec[];
    }
  | { readonly kind: "vm.delete"; readonly name: string };

export interface DecisionContext {
  /** The revision that the change set becomes, if there is any change. */
  readonly revision: Revision;
  readonly newUid: () => string;
  /** What the asker may know and change; absent: everything. */
  readonly scope?: NetworkScope;
}

export interface Decision {
  /** What differs in the end: without what came and went, or was written as it stood. */
  readonly changes: readonly ResourceChange[];
  /** Every resource that the mutations named, each once. */
  readonly touched: readonly ResourceChange[];
}

/**
 * Addresses and references are checked when all mutations are laid over the state, so that two VMs can swap addresses
 * in one change set.
 * @throws Refusal, the first
 */
export function decide(state: Inventory, mutations: readonly Mutation[], context: DecisionContext): Decision {
  const steps = decideSteps(state, mutations, context, (refusal) => {
    throw refusal;
  });
  return atOnce(steps);
}

/**
 * As `decide`, but hands every refusal to `onRefusal`, with the number of the mutation that is at fault, where one of
 * them is. Where it was called and did not throw, the decision is worth nothing.
 */
export function* decideSteps(
  state: Inventory,
  mutations: readonly Mutation[],
  context: DecisionContext,
  onRefusal: (refusal: Refusal, mutation: number | undefined) => void,
): Steps<Decision> {
  const draft = new Draft(state, context.scope);
  const last = new Map<string, number>();
  for (const [i, mutation] of mutations.entries()) {
    yield;
    try {
      lay(draft, mutation, context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      onRefusal(error, i);
    }
    last.set(subjectOf(mutation), i);
  }
  const refuse: OnRefusal = (refusal, kind, name) => onRefusal(refusal, last.get(`${kind} ${name}`));
  const breaches = findBreaches(draft);
  for (const { refusal, kind, name } of breaches) refuse(refusal, kind, name);
  // A rule might tell of what the asker may not know.
  if (breaches.length === 0) yield* checkRules(draft, refuse);
  const touched = draft.touched();
  // An unchanged resource is the same object: see `renewed`.
  return { touched, changes: touched.filter(({ before, after }) => before !== after) };
}

function subjectOf(mutation: Mutation): string {
  const [kind] = mutation.kind.split(".");
  return `${kind} ${"spec" in mutation ? mutation.spec.name : mutation.name}`;
}

function lay(draft: Draft, mutation: Mutation, context: DecisionContext): void {
  switch (mutation.kind) {
    case "network.put": {
      const { spec } = mutation;
      draft.putNetwork(spec.name, renewed<NetworkSpec, Network>(draft.findNetwork(spec.name), spec, context));
      return;
    }
    case "network.delete":
      getOr404("network", mutation.name, draft.findNetwork(mutation.name));
      draft.putNetwork(mutation.name, null);
      return;
    case "host.put": {
      const { spec } = mutation;
      draft.putHost(spec.name, renewed<HostSpec, Host>(draft.findHost(spec.name), spec, context));
      return;
    }
    case "host.register": {
      const host = draft.findHost(mutation.spec.name);
      if (host?.origin === "operator") return;
      draft.putHost(mutation.spec.name, renewed<HostSpec, Host>(host, mutation.spec, context));
      return;
    }
    case "host.delete":
      getOr404("host", mutation.name, draft.findHost(mutation.name));
      draft.putHost(mutation.name, null);
      return;
    case "vm.create":
      if (draft.findVm(mutation.spec.name)) {
        throw new Refusal("name-taken", `a VM named "${mutation.spec.name}" exists: change it with PUT or PATCH`);
      }
      draft.putVm(mutation.spec.name, renewed<VmSpec, Vm>(undefined, mutation.spec, context));
      return;
    case "vm.put":
      putVm(draft, mutation.spec, context);
      return;
    case "vm.patch": {
      const { name, host, interfaces } = getOr404("VM", mutation.name, draft.findVm(mutation.name));
      const spec = { name, host: mutation.host ?? host, interfaces: mutation.interfaces ?? interfaces };
      putVm(draft, spec, context);
      return;
    }
    case "vm.delete":
      getOr404("VM", mutation.name, draft.findVm(mutation.name));
      draft.putVm(mutation.name, null);
  }
}

function putVm(draft: Draft, spec: VmSpec, context: DecisionContext): void {
  draft.putVm(spec.name, renewed<VmSpec, Vm>(draft.findVm(spec.name), spec, context));
}

/** The same object where `spec` says what stands already. A new name gets a new uid, a known one keeps it. */
function renewed<Spec extends object, Resource extends Spec & { readonly uid: string; readonly revision: Revision }>(
  current: Resource | undefined,
  spec: Spec,
  context: DecisionContext,
): Resource {
  const uid = current?.uid ?? context.newUid();
  if (current && isDeepStrictEqual(current, { ...spec, uid, revision: current.revision })) return current;
  return { ...spec, uid, revision: context.revision } as Resource;
}

function getOr404<T>(kind: string, name: string, resource: T | undefined): T {
  if (!resource) throw new Refusal("not-found", `no ${kind} is named "${name}"`);
  return resource;
}
