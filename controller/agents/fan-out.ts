// Turns one revision's binding changes into the pushes for each host. The cost grows with the holders, not with the fleet.
import type { AgentNetwork, Answer, PreparedChange, Revision, Vni, VtepAddress } from "../../schema/address/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { BindingChanges, KeyChange } from "../inventory/binding-changes.ts";
import { agentNetwork, answerKnown } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork, hostsKnowing } from "../inventory/known-networks.ts";
import type { Steps } from "../inventory/steps.ts";
import type { InterestIndex } from "./interest.ts";

/** The content of one host's `changes` for one revision. */
export interface Push {
  readonly networks: AgentNetwork[];
  readonly gone: Vni[];
  readonly answers: Answer[];
  readonly prepared: PreparedChange[];
  self?: { readonly vtep: VtepAddress; readonly vtepPort: number };
}

/** By host. */
export type Pushes = Map<string, Push>;

/** An empty push is created if there is none yet. */
export function pushOf(pushes: Pushes, host: string): Push {
  const push = pushes.get(host) ?? { networks: [], gone: [], answers: [], prepared: [] };
  pushes.set(host, push);
  return push;
}

/** Answers of one host that are sent together, where a change set has more. */
const answersAtOnce = 512;
/** About 20 MiB. */
const defaultMaxWaiting = 65_536;

export interface FanOutOptions {
  /** Whether the host is sent what it is pushed; another one has only its interest updated. Default: every host is. */
  readonly reaches?: (host: string) => boolean;
  /** Takes what a host has so far, where that is much. Absent: all is returned. */
  readonly sendPart?: (host: string, push: Push) => void;
  /** Answers of all hosts that wait for more, before what all have is sent. */
  readonly maxWaiting?: number;
}

/** Updates the interest: a host holds what is pushed here from now on, whether or not its agent is connected. */
export function* fanOut(
  state: Inventory,
  interest: InterestIndex,
  changes: BindingChanges,
  asOf: Revision,
  { reaches = () => true, sendPart, maxWaiting = defaultMaxWaiting }: FanOutOptions = {},
): Steps<Pushes> {
  const pushes = new WaitingPushes(sendPart, maxWaiting);
  for (const host of changes.deletedHosts) interest.forget(host);
  for (const [host, vnis] of changes.gone) {
    yield;
    for (const vni of vnis) interest.revoke(host, vni);
    if (state.findHost(host) && reaches(host)) pushes.of(host).gone.push(...vnis);
  }
  yield* pushNetworks(state, changes, { pushes, reaches });
  for (const { name, vtep, port } of changes.selves) {
    if (reaches(name)) pushes.of(name).self = { vtep, vtepPort: port };
  }
  for (const preparation of changes.prepared) {
    yield;
    // With a network that the host may not know any more goes what it knows of it.
    if (!preparation || !reaches(preparation.host)) continue;
    const { host, change } = preparation;
    if (findKnownNetwork(state, host, change.vni)) pushes.of(host).prepared.push(change);
  }
  for (const change of changes.keys) {
    yield;
    if (!change) continue;
    for (const host of toldOf(interest, change)) {
      const isReached = reaches(host);
      // A new binding is local there, which needs no interest.
      if (!isReached && change.created && change.hosts.has(host)) continue;
      const network = findKnownNetwork(state, host, change.key.vni);
      if (!network) continue;
      const answer = answerKnown(state, host, change.key, asOf, network);
      interest.holdAnswer(host, answer, { asked: false });
      if (isReached) pushes.add(host, answer);
    }
  }
  return pushes.byHost;
}

/** Each of a host once, and each written only once for all hosts. */
function* pushNetworks(
  state: Inventory,
  { joined, redefined }: BindingChanges,
  { pushes, reaches }: { readonly pushes: WaitingPushes; readonly reaches: (host: string) => boolean },
): Steps<void> {
  const known = new Map<Vni, AgentNetwork>();
  const push = (host: string, network: Network) => {
    const forAgents = known.get(network.vni) ?? agentNetwork(network);
    known.set(network.vni, forAgents);
    pushes.of(host).networks.push(forAgents);
  };
  for (const [host, vnis] of joined) {
    yield;
    for (const vni of reaches(host) ? vnis : []) {
      const network = state.findNetworkByVni(vni);
      if (network) push(host, network);
    }
  }
  for (const network of redefined) {
    for (const host of hostsKnowing(state, network.name)) {
      yield;
      if (reaches(host) && !joined.has(host, network.vni)) push(host, network);
    }
  }
}

class WaitingPushes {
  readonly byHost: Pushes = new Map();
  /** Answers. */
  private waiting = 0;

  constructor(
    private readonly sendPart: FanOutOptions["sendPart"],
    private readonly maxWaiting: number,
  ) {}

  of(host: string): Push {
    return pushOf(this.byHost, host);
  }

  add(host: string, answer: Answer): void {
    const push = this.of(host);
    push.answers.push(answer);
    if (!this.sendPart) return;
    this.waiting += 1;
    if (push.answers.length === answersAtOnce) this.send(host, push);
    else if (this.waiting === this.maxWaiting) for (const [each, some] of this.byHost) this.send(each, some);
  }

  private send(host: string, push: Push): void {
    this.sendPart?.(host, push);
    this.byHost.delete(host);
    this.waiting -= push.answers.length;
  }
}

function toldOf(interest: InterestIndex, { key, hosts, created }: KeyChange): Set<string> {
  const overflown = created ? interest.overflownIn(key.vni) : [];
  return new Set([...hosts, ...interest.holdersOf(key), ...overflown]);
}
