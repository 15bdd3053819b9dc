// From mutations to changes: mutations against a state become a change set, or a refusal with the reason. Nothing is
// applied here, and nothing is read but the arguments.
import type { ResourceChange } from "../../schema/events/index.ts";
import { effectiveKnowledge, type KnowledgeChoice } from "../../schema/plain/index.ts";
import { type Network, type NetworkPatch, type NetworkSpec, patchNetwork } from "../../schema/rest/index.ts";
import { Claims, leavesOpen } from "./assign.ts";
import { findBreaches } from "./breaches.ts";
import type { DecisionContext } from "./decision-context.ts";
import { Draft } from "./draft.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import type { Footprint } from "./footprint.ts";
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
  /** The controller's own, for a network with `knowledge: auto`; nothing for another. */
  | { readonly kind: "network.choose"; readonly name: string; readonly choice: KnowledgeChoice }
  | ({ readonly kind: "network.delete" } & Deletion)
  | HostMutation
  | VmMutation;

export interface Decision {
  /** The net difference: without resources that were created and deleted, or written unchanged. */
  readonly changes: readonly ResourceChange[];
  /** Every resource that the mutations named, each once. */
  readonly touched: readonly ResourceChange[];
}

/** With the number by which refusals and results name it. */
export interface Numbered {
  readonly number: number;
  readonly mutation: Mutation;
}

export type MutationResult = "created" | "updated" | "unchanged" | "deleted";

/** Hears of each mutation. Where `refused` was called and did not throw, the decision is worth nothing. */
export interface DecisionListener {
  /** @param mutation number of the one that is at fault, where one of them is */
  refused(refusal: Refusal, mutation: number | undefined): void;
  laid(mutation: Numbered, result: MutationResult): void;
}

/**
 * Addresses and references are checked when all mutations are laid over the state, so that two VMs can swap addresses
 * in one change set.
 * @throws Refusal, the first; InputError if a patch has an invalid result
 */
export function decide(state: Inventory, mutations: readonly Mutation[], context: DecisionContext): Decision {
  const draft = new Draft(state, context.scope);
  const numbered = mutations.map((mutation, number) => ({ mutation, number }));
  atOnce(decideSteps(draft, { mutations: numbered, assigns: mutations.some(leavesAddress) }, context, throwing));
  const touched = [...draft.touched()];
  // An unchanged resource is the same object: see `renewed`.
  return { touched, changes: touched.filter(({ before, after }) => before !== after) };
}

const throwing: DecisionListener = {
  refused: (refusal) => {
    throw refusal;
  },
  laid: () => {},
};

/** Whether the mutation leaves an address to the controller. */
export function leavesAddress(mutation: Mutation): boolean {
  return isForVm(mutation) && "spec" in mutation && leavesOpen(mutation.spec);
}

/**
 * @param assigns one of them leaves an address to the controller: then all are read twice
 * @returns what the decision rests on, where nothing is refused
 */
export function* decideSteps(
  draft: Draft,
  { mutations, assigns }: { readonly mutations: Iterable<Numbered>; readonly assigns: boolean },
  context: DecisionContext,
  listener: DecisionListener,
): Steps<Footprint | undefined> {
  const claims = new Claims();
  // An address that one mutation names must not be assigned to an earlier one.
  for (const { mutation } of assigns ? mutations : []) {
    yield;
    if (isForVm(mutation) && "spec" in mutation) claims.addRequest(mutation.spec);
  }
  for (const numbered of mutations) {
    yield;
    draft.mutation = numbered.number;
    draft.written = undefined;
    try {
      lay(draft, numbered.mutation, claims, context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      listener.refused(error, numbered.number);
      continue;
    }
    listener.laid(numbered, resultOf(draft.written));
  }
  const refuse: OnRefusal = (refusal, kind, name) => listener.refused(refusal, draft.mutationOf(kind, name));
  const breached = yield* findBreaches(draft, context.hosts, refuse);
  // The text of a rule might name resources that are hidden from the actor.
  const footprint = breached ? undefined : yield* checkRules(draft, refuse);
  if (!breached && context.quota) yield* checkQuota(draft, context.quota, refuse);
  return footprint;
}

function resultOf(written: { readonly before: unknown; readonly after: unknown } | undefined): MutationResult {
  if (!written || written.before === written.after) return "unchanged";
  if (written.after === null) return "deleted";
  return written.before === null ? "created" : "updated";
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
  const put = (spec: NetworkSpec) =>
    draft.putNetwork(name, renewed<NetworkSpec, Network>(current, { ...spec, ...choiceFor(spec, current) }, context));
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
    case "network.choose": {
      if (current?.knowledge !== "auto") return;
      const { uid, revision, ...spec } = current;
      draft.putNetwork(
        name,
        renewed<NetworkSpec, Network>(current, { ...spec, knowledgeChosen: mutation.choice }, context),
      );
      return;
    }
    case "network.delete":
      if (mutation.ifPresent && !current) {
        draft.noteUnfound("network", name);
        return;
      }
      getOr404("network", name, current);
      draft.putNetwork(name, null);
  }
}

/** A choice stays as long as the network is `auto`; a mode of before is the first one, so that hosts keep what they have. */
function choiceFor({ knowledge }: NetworkSpec, current: Network | undefined): Pick<NetworkSpec, "knowledgeChosen"> {
  if (knowledge !== "auto" || !current) return {};
  return { knowledgeChosen: current.knowledgeChosen ?? { mode: effectiveKnowledge(current) } };
}
