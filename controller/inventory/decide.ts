// From what was asked to what changes: mutations against a state become a change set, or a refusal that says why.
// Nothing is applied here, and nothing is read but the arguments.
import { isDeepStrictEqual } from "node:util";
import type {
  Host,
  HostPatch,
  HostSpec,
  Network,
  NetworkPatch,
  NetworkScope,
  NetworkSpec,
  ResourceChange,
  Revision,
  Vm,
  VmPatch,
  VmRequest,
  VmSpec,
} from "../../schema/index.ts";
import { patchHost, patchNetwork, patchVm } from "../../schema/index.ts";
import { type AddressSource, assignAddresses, Claims, keepAssigned } from "./assign.ts";
import { Draft } from "./draft.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import type { Inventory } from "./inventory.ts";
import { Refusal } from "./refusal.ts";
import { checkRules, type OnRefusal } from "./rules.ts";
import { findBreaches, includesNetwork } from "./scope.ts";
import { atOnce, type Steps } from "./steps.ts";

export type Mutation = Change & {
  /** Of the resource that the change is for. Absent: nothing. */
  readonly expect?: Expectation;
};

type Change =
  | { readonly kind: "network.create"; readonly spec: NetworkSpec }
  | { readonly kind: "network.put"; readonly spec: NetworkSpec }
  | { readonly kind: "network.patch"; readonly name: string; readonly patch: NetworkPatch }
  | ({ readonly kind: "network.delete" } & Deletion)
  | { readonly kind: "host.create"; readonly spec: HostSpec }
  | { readonly kind: "host.put"; readonly spec: HostSpec }
  | { readonly kind: "host.patch"; readonly name: string; readonly patch: HostPatch }
  /** An agent's word on its own host: it counts until an operator has spoken. */
  | { readonly kind: "host.register"; readonly spec: HostSpec }
  | ({ readonly kind: "host.delete" } & Deletion)
  | { readonly kind: "vm.create"; readonly spec: VmRequest }
  | { readonly kind: "vm.put"; readonly spec: VmRequest }
  | { readonly kind: "vm.patch"; readonly name: string; readonly patch: VmPatch }
  | ({ readonly kind: "vm.delete" } & Deletion);

interface Deletion {
  readonly name: string;
  /** What is not there is as it was asked for, and no refusal. */
  readonly ifPresent?: boolean;
}

export interface DecisionContext {
  /** The revision that the change set becomes, if there is any change. */
  readonly revision: Revision;
  readonly newUid: () => string;
  /** What the asker may know and change; absent: everything. */
  readonly scope?: NetworkScope;
  /** Absent: every interface must name its MAC and IPs. */
  readonly addresses?: AddressSource;
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
 * @throws Refusal, the first; InputError where a patch leads to what is not valid
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
  const claims = new Claims();
  // What one mutation names must not be assigned to another that comes earlier.
  for (const mutation of mutations) {
    yield;
    if (isForVm(mutation) && "spec" in mutation) claims.addRequest(mutation.spec);
  }
  for (const [i, mutation] of mutations.entries()) {
    yield;
    try {
      lay(draft, mutation, claims, context);
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
  return `${kind} ${nameIn(mutation)}`;
}

function nameIn(mutation: Mutation): string {
  return "spec" in mutation ? mutation.spec.name : mutation.name;
}

function lay(draft: Draft, mutation: Mutation, claims: Claims, context: DecisionContext): void {
  if (isForVm(mutation)) layVm(draft, mutation, claims, context);
  else if (isForHost(mutation)) layHost(draft, mutation, context);
  else layNetwork(draft, mutation, context);
}

type MutationOf<Prefix extends string> = Extract<Mutation, { readonly kind: `${Prefix}.${string}` }>;

const isForVm = (mutation: Mutation): mutation is MutationOf<"vm"> => mutation.kind.startsWith("vm.");
const isForHost = (mutation: Mutation): mutation is MutationOf<"host"> => mutation.kind.startsWith("host.");

function layNetwork(draft: Draft, mutation: MutationOf<"network">, context: DecisionContext): void {
  const name = nameIn(mutation);
  const current = draft.findNetwork(name);
  if (!includesNetwork(draft.scope, name)) getOr404("network", name, undefined);
  checkExpectation(`network "${name}"`, current, mutation.expect);
  const put = (spec: NetworkSpec) => draft.putNetwork(name, renewed<NetworkSpec, Network>(current, spec, context));
  switch (mutation.kind) {
    case "network.create":
      refuseTaken("network", current);
      put(mutation.spec);
      return;
    case "network.put":
      put(mutation.spec);
      return;
    case "network.patch":
      put(patchNetwork(getOr404("network", name, current), mutation.patch));
      return;
    case "network.delete":
      if (mutation.ifPresent && !current) return;
      getOr404("network", name, current);
      draft.putNetwork(name, null);
  }
}

function layHost(draft: Draft, mutation: MutationOf<"host">, context: DecisionContext): void {
  const name = nameIn(mutation);
  const current = draft.findHost(name);
  if (draft.scope !== "all") getOr404("host", name, undefined);
  checkExpectation(`host "${name}"`, current, mutation.expect);
  const put = (spec: HostSpec) => draft.putHost(name, renewed<HostSpec, Host>(current, spec, context));
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
      if (mutation.ifPresent && !current) return;
      getOr404("host", name, current);
      draft.putHost(name, null);
  }
}

function layVm(draft: Draft, mutation: MutationOf<"vm">, claims: Claims, context: DecisionContext): void {
  const name = nameIn(mutation);
  const current = draft.findVm(name);
  checkExpectation(`VM "${name}"`, current, mutation.expect);
  const put = (request: VmRequest) => {
    const spec = assignAddresses(draft, request, claims, context.addresses);
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
      if (mutation.ifPresent && !current) return;
      getOr404("VM", name, current);
      draft.putVm(name, null);
  }
}

function refuseTaken(kind: string, current: { readonly name: string; readonly revision: Revision } | undefined): void {
  if (!current) return;
  const detail = `a ${kind} named "${current.name}" exists, at revision ${current.revision}: change it with PUT or PATCH`;
  throw new Refusal("name-taken", detail);
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
