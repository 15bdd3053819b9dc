// Partners of a VM that moves to another host: its guest has their MACs cached, and its first frame to one of them must
// find an entry. A question would be answered in milliseconds, but that first frame would be lost.
import { type BindingKey, keyText, type MacAddress, type Revision, type Vni } from "../../schema/address/index.ts";
import { answerFor, findBound, keysOf } from "../inventory/bindings.ts";
import { hostsOf } from "../inventory/hosts-of.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Steps } from "../inventory/steps.ts";
import { TwoLevelMap } from "../inventory/two-level-map.ts";
import type { VmMove } from "../inventory/vm-moves.ts";
import { type Pushes, pushOf } from "./fan-out.ts";
import type { InterestIndex } from "./interest.ts";

/** Maximum for one interface; the ones most recently sent to its old host are taken first. */
const maxPartners = 256;

/** By host, and by the text of each key: the bindings to push for the partners of VMs that arrive there. */
export type Partners = ReadonlyMap<string, ReadonlyMap<string, BindingKey>>;

/**
 * Communication is mutual: the VM's old host has the partner's binding, or the partner's host has the VM's. If both VMs
 * are on the old host, nothing shows who communicates with whom, so all of them count.
 * @param state after the moves
 * @param interest before them
 */
export function* partnersOf(state: Inventory, interest: InterestIndex, moves: readonly VmMove[]): Steps<Partners> {
  const partners = new Map<string, Map<string, BindingKey>>();
  const near = new TwoLevelMap<string, Vni, readonly Near[]>();
  for (const move of moves) {
    const receivers = receiversOf(move);
    if (receivers.length === 0) continue;
    const { host, interfaces } = move.before;
    for (const each of interfaces) {
      yield;
      const network = state.findNetwork(each.network);
      if (!network) continue;
      const { vni } = network;
      const known = near.get(host, vni) ?? nearOf(state, interest, moves, host, network);
      near.set(host, vni, known);
      const talking = new Set(keysOf(each, vni).flatMap((key) => [...interest.holdersOf(key)]));
      const keys = known.filter((one) => one.mac !== each.mac && (one.host === host || talking.has(one.host)));
      for (const receiver of receivers) {
        const told = partners.get(receiver) ?? new Map<string, BindingKey>();
        partners.set(receiver, told);
        for (const { mac } of keys.slice(-maxPartners)) {
          const key: BindingKey = { kind: "mac", vni, mac };
          told.set(keyText(key), key);
        }
      }
    }
  }
  return partners;
}

/**
 * Adds the partners' bindings to the pushes of the moves, so that a host that has confirmed the moves has both. A host
 * gets no binding that it already holds or that is its own VM's.
 * @returns the number of bindings added
 */
export function* seedArrivals(
  {
    state,
    interest,
    pushes,
    asOf,
  }: {
    readonly state: Inventory;
    readonly interest: InterestIndex;
    readonly pushes: Pushes;
    readonly asOf: Revision;
  },
  partners: Partners,
): Steps<number> {
  let seeds = 0;
  for (const [host, keys] of partners) {
    for (const key of keys.values()) {
      yield;
      if (interest.knows(host, key)) continue;
      const answer = answerFor(state, host, key, asOf);
      if (!answer.binding || answer.binding.local) continue;
      pushOf(pushes, host).answers.push(answer);
      interest.holdAnswer(host, answer, { asked: false });
      seeds++;
    }
  }
  return seeds;
}

/** A MAC that is within reach of a host, and where. */
interface Near {
  readonly mac: MacAddress;
  readonly host: string;
}

function nearOf(
  state: Inventory,
  interest: InterestIndex,
  moves: readonly VmMove[],
  host: string,
  { name, vni }: { readonly name: string; readonly vni: Vni },
): Near[] {
  const remote = [...interest.macsKnownTo(host, vni)].flatMap((mac): Near[] => {
    const found = findBound(state, { kind: "mac", vni, mac });
    return found ? [{ mac, host: found.host.name }] : [];
  });
  const left = moves.flatMap(({ before }) => (before.host === host ? [before] : []));
  const local = [...state.vmsOn(host).values(), ...left].flatMap((vm) =>
    vm.interfaces.flatMap(({ network, mac }): Near[] => (network === name ? [{ mac, host }] : [])),
  );
  return [...local, ...remote];
}

/** Hosts that the VM moves to, or may move to by a live migration. */
function receiversOf({ before, after }: VmMove): string[] {
  const moves = before.host !== after.host;
  const stood = new Set(moves ? [before.host] : hostsOf(before));
  return hostsOf(after).filter((host) => !stood.has(host));
}
