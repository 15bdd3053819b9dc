// Short ways to mutations and to what becomes of them, for tests of decisions.
import { AddressPools } from "../../controller/inventory/address-pools.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { type DecisionListener, decide, decideSteps, type Mutation } from "../../controller/inventory/decide.ts";
import type { DecisionContext } from "../../controller/inventory/decision-context.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import {
  type HostPutInput,
  type NetworkPutInput,
  parseHost,
  parseNetwork,
  parseVm,
  type VmPutInput,
} from "../../schema/rest/index.ts";
import { mac } from "./addresses.ts";

type InterfaceInput = VmPutInput["interfaces"][number];

export const network = (name: string, vni: number, more: Partial<NetworkPutInput> = {}): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets: ["10.0.0.0/24"], ...more }),
});
export const host = (name: string, vtep: string, more: Partial<HostPutInput> = {}): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep, ...more }, "operator"),
});
export const vm = (
  name: string,
  on: string,
  interfaces: readonly InterfaceInput[],
  more: Partial<VmPutInput> = {},
): Mutation => ({ kind: "vm.put", spec: parseVm(name, { host: on, interfaces: [...interfaces], ...more }) });

/** An interface in a network, with the addresses of its number. */
export const nic = (n: number, inNetwork = "blue", more: Partial<InterfaceInput> = {}): InterfaceInput => ({
  network: inNetwork,
  mac: `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`,
  ips: [`10.0.0.${n}`],
  ...more,
});

/** Revision 1, and uids that are counted. */
export function stateOf(...mutations: Mutation[]): CommittedInventory {
  const state = new CommittedInventory();
  let uids = 0;
  const context = { revision: parseRevision(1), newUid: () => `uid-${++uids}` };
  state.apply(decide(state, mutations, { ...context, addresses: addressesOf(state) }).changes);
  return state;
}

/** MACs are counted, from `52:54:00:ff:00:01` on. */
export function addressesOf(state: Inventory, nowMs = 0): NonNullable<DecisionContext["addresses"]> {
  let macs = 0;
  const newMac = () => mac(`52:54:00:ff:00:${(++macs).toString(16).padStart(2, "0")}`);
  return { pools: new AddressPools(state), newMac, nowMs };
}

const next = (): DecisionContext => ({ revision: parseRevision(2), newUid: () => "uid-new" });

export function changesOf(
  state: Inventory,
  mutations: readonly Mutation[],
  context: Partial<DecisionContext> = {},
): readonly ResourceChange[] {
  return decide(state, mutations, { ...next(), ...context }).changes;
}

/** Every refusal as `<type>: <words>`, with the number of the mutation at fault. */
export function refusalsOf(
  state: Inventory,
  mutations: readonly Mutation[],
  context: Partial<DecisionContext> = {},
): [mutation: number | undefined, refusal: string][] {
  const found: [number | undefined, string][] = [];
  const listener: DecisionListener = {
    refused: (refusal, mutation) => found.push([mutation, `${refusal.type}: ${refusal.message}`]),
    laid: () => {},
  };
  const numbered = mutations.map((mutation, number) => ({ mutation, number }));
  atOnce(
    decideSteps(
      new Draft(state, context.scope),
      { mutations: numbered, assigns: true },
      { ...next(), ...context },
      listener,
    ),
  );
  return found;
}

/** The only refusal, in the same words; undefined where the mutations are carried out. */
export function refusalOf(
  state: Inventory,
  mutation: Mutation | readonly Mutation[],
  context: Partial<DecisionContext> = {},
): string | undefined {
  const refusals = refusalsOf(state, Array.isArray(mutation) ? mutation : [mutation as Mutation], context);
  if (refusals.length > 1) throw new Error(`${refusals.length} refusals: ${refusals.join("\n")}`);
  return refusals[0]?.[1];
}
