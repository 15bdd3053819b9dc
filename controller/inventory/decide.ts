// From mutations to changes: mutations against a state become a change set, or a refusal with the reason. Nothing is
// applied here, and nothing is read but the arguments.
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Network, type NetworkPatch, type NetworkSpec, patchNetwork } from "../../schema/rest/index.ts";
import { Claims } from "./assign.ts";
import { findBreaches } from "./breaches.ts";
import type { DecisionContext } from "./decision-context.ts";
import { Draft } from "./draft.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import { applyHostMutation, type HostMutation } from "./host-mutations.ts";
import type { Inventory } from "./inventory.ts";
import { checkQuota } from "./quota.ts";
import { type OnRefusal, Refusal } from "./refusal.ts";
import { type Deletion, getOr404, refuseTaken, renewed } from "./renewal.ts";
import { checkRules } from "./rules.ts";
import { includesNetwork } from "./scope.ts";
import { atOnce, type Steps } from "./steps.ts";
import { applyVmMutation, type VmMutation } from "./vm-mutations.ts";

export type Mutation = Change & {
  /** Of the resource that the change is for. Absent: nothing. */
  readonly expect?: Expectation;
};

type Change =
  | { readonly kind: "network.create"; readonly spec: NetworkSpec }
  | { readonly kind: "network.put"; readonly spec: NetworkSpec }
  | { readonly kind: "network.patch"; readonly name: string; readonly patch: NetworkPatch }
  | ({ readonly kind: "network.delete" } & Deletion)
  | HostMutation
  | VmMutation;

export interface Decision {
  /** The net difference: without resources that were created and deleted, or written unchanged. */
  readonly changes: readonly ResourceChange[];
  /** Every resource that the mutations named, each once. */
  readonly touched: readonly ResourceChange[];
}

/**
 * Addresses and references are checked when all mutations are laid over the state, so that two VMs can swap addresses
 * in one change set.
 * @throws Refusal, the first; InputError if a patch has an invalid result
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
  // An address that one mutation names must not be assigned to an earlier one.
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
  const breached = yield* findBreaches(draft, context.hosts, refuse);
  // The text of a rule might name resources that are hidden from the actor.
  if (!breached) yield* checkRules(draft, refuse);
  if (!breached && context.quota) yield* checkQuota(draft, context.quota, refuse);
  const touched: ResourceChange[] = [];
  const changes: ResourceChange[] = [];
  for (const change of draft.touched()) {
    yield;
    touched.push(change);
    // An unchanged resource is the same object: see `renewed`.
    if (change.before !== change.after) changes.push(change);
  }
  return { touched, changes };
}

function subjectOf(mutation: Mutation): string {
  const [kind] = mutation.kind.split(".");
  return `${kind} ${nameIn(mutation)}`;
}

function nameIn(mutation: Mutation): string {
  return "spec" in mutation ? mutation.spec.name : mutation.name;
}

function lay(draft: Draft, mutation: Mutation, claims: Claims, context: DecisionContext): void {
  if (isForVm(mutation)) applyVmMutation(draft, mutation, claims, context);
  else if (isForHost(mutation)) applyHostMutation(draft, mutation, context);
  else applyNetworkMutation(draft, mutation, context);
}

type MutationOf<Prefix extends string> = Extract<Mutation, { readonly kind: `${Prefix}.${string}` }>;

const isForVm = (mutation: Mutation): mutation is MutationOf<"vm"> => mutation.kind.startsWith("vm.");
const isForHost = (mutation: Mutation): mutation is MutationOf<"host"> => mutation.kind.startsWith("host.");

function applyNetworkMutation(draft: Draft, mutation: MutationOf<"network">, context: DecisionContext): void {
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
