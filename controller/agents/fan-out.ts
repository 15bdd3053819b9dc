// Turns one revision's binding changes into the pushes for each host. The cost grows with the holders, not with the fleet.
import type { AgentNetwork, Answer, Revision, Vni, VtepAddress } from "../../schema/address/index.ts";
import type { BindingChanges, KeyChange } from "../inventory/binding-changes.ts";
import { agentNetwork, answerFor } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import type { Steps } from "../inventory/steps.ts";
import type { InterestIndex } from "./interest.ts";

/** The content of one host's `changes` for one revision. */
export interface Push {
  readonly networks: AgentNetwork[];
  readonly gone: Vni[];
  readonly answers: Answer[];
  self?: { readonly vtep: VtepAddress; readonly vtepPort: number };
}

/** By host. */
export type Pushes = Map<string, Push>;

/** An empty push is created if there is none yet. */
export function pushOf(pushes: Pushes, host: string): Push {
  const push = pushes.get(host) ?? { networks: [], gone: [], answers: [] };
  pushes.set(host, push);
  return push;
}

/** Answers of one host that are sent together, where a change set has more. */
const answersAtOnce = 512;

/**
 * Updates the interest: a host holds what is pushed here from now on, whether or not its agent is connected.
 * @param sendPart takes what a host has so far, where that is much; absent: all is returned
 */
export function* fanOut(
  state: Inventory,
  interest: InterestIndex,
  changes: BindingChanges,
  asOf: Revision,
  sendPart?: (host: string, push: Push) => void,
): Steps<Pushes> {
  const pushes: Pushes = new Map();
  const pushTo = (host: string) => pushOf(pushes, host);
  for (const host of changes.deletedHosts) interest.forget(host);
  for (const [host, vnis] of changes.gone) {
    for (const vni of vnis) interest.revoke(host, vni);
    if (state.findHost(host)) pushTo(host).gone.push(...vnis);
  }
  for (const [host, networks] of changes.networks) pushTo(host).networks.push(...networks.map(agentNetwork));
  for (const { name, vtep, port } of changes.selves) pushTo(name).self = { vtep, vtepPort: port };
  for (const change of changes.keys) {
    yield;
    if (!change) continue;
    for (const host of toldOf(interest, change)) {
      if (!findKnownNetwork(state, host, change.key.vni)) continue;
      const answer = answerFor(state, host, change.key, asOf);
      const push = pushTo(host);
      push.answers.push(answer);
      interest.holdAnswer(host, answer, { asked: false });
      if (!sendPart || push.answers.length < answersAtOnce) continue;
      sendPart(host, push);
      pushes.delete(host);
    }
  }
  return pushes;
}

function toldOf(interest: InterestIndex, { key, hosts, created }: KeyChange): Set<string> {
  const overflown = created ? interest.overflownIn(key.vni) : [];
  return new Set([...hosts, ...interest.holdersOf(key), ...overflown]);
}
