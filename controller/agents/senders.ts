// Which VTEPs may send to a host: those of the hosts that share a network with it. For agents with --underlay-filter.
import type { Revision, Vni } from "../../schema/address/index.ts";
import type { ControllerFrame, Sender } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { BindingChanges } from "../inventory/binding-changes.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { hostsKnowing, knownNetworks } from "../inventory/known-networks.ts";
import type { Steps } from "../inventory/steps.ts";

export type SendersFrame = Extract<ControllerFrame, { type: "senders" }>;

/** Of hosts in a frame: names and addresses of that many stay below `maxFrameBytes`. */
const hostsAtOnce = 400;

/** All that a host must know of its networks. */
export function sendersOf(state: Inventory, host: string, asOf: Revision): SendersFrame[] {
  return knownNetworks(state, host).flatMap((network) => wholeOf(state, network, host, asOf));
}

/**
 * Changes of one revision, by host. The arrival of a host's first VM, or the removal of its last, is pushed to all hosts of
 * the network that use the filter: the cost of membership. Every other change is pushed only to its holders.
 */
export function* senderChanges(
  state: Inventory,
  changes: BindingChanges,
  asOf: Revision,
  wants: (host: string) => boolean,
): Steps<Map<string, SendersFrame[]>> {
  const frames = new Map<string, SendersFrame[]>();
  const add = (to: string, ...more: SendersFrame[]): void => {
    frames.set(to, [...(frames.get(to) ?? []), ...more]);
  };
  const notifyOthers = (vni: Vni, sender: Sender): void => {
    const network = state.findNetworkByVni(vni);
    for (const other of network ? hostsKnowing(state, network.name) : []) {
      if (other !== sender.host && wants(other))
        add(other, { type: "senders", asOf, vni, whole: false, hosts: [sender], end: true });
    }
  };
  for (const [host, vnis] of changes.gone) {
    for (const vni of vnis) {
      yield;
      notifyOthers(vni, { host, vtep: null });
    }
  }
  for (const [host, vnis] of changes.joined) {
    for (const vni of vnis) {
      yield;
      const network = state.findNetworkByVni(vni);
      const vtep = state.findHost(host)?.vtep;
      if (vtep !== undefined) notifyOthers(vni, { host, vtep });
      if (network && wants(host)) add(host, ...wholeOf(state, network, host, asOf));
    }
  }
  for (const { name, vtep } of changes.selves) {
    for (const { vni } of knownNetworks(state, name)) {
      yield;
      notifyOthers(vni, { host: name, vtep });
    }
  }
  return frames;
}

function wholeOf(state: Inventory, { name, vni }: Network, except: string, asOf: Revision): SendersFrame[] {
  const hosts = [...hostsKnowing(state, name)].flatMap((host): Sender[] => {
    const vtep = host === except ? undefined : state.findHost(host)?.vtep;
    return vtep === undefined ? [] : [{ host, vtep }];
  });
  const frames: SendersFrame[] = [];
  for (let at = 0; at === 0 || at < hosts.length; at += hostsAtOnce) {
    const part = hosts.slice(at, at + hostsAtOnce);
    frames.push({ type: "senders", asOf, vni, whole: at === 0, hosts: part, end: at + hostsAtOnce >= hosts.length });
  }
  return frames;
}
