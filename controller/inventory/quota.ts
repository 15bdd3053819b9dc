// The quota of a token for its networks (ADR 0152): present numbers from the inventory's counters, plus the additions
// of the change set. Only growth is refused, so that a quota that was exceeded in another way does not prevent
// reductions.
import type { NetworkScope, Quota, QuotaUse, Vm } from "../../schema/rest/index.ts";
import type { Draft } from "./draft.ts";
import { hostsOf } from "./hosts-of.ts";
import type { Inventory } from "./inventory.ts";
import { type OnRefusal, Refusal } from "./refusal.ts";
import type { Steps } from "./steps.ts";
import { addTo, countedNetworks } from "./use-counts.ts";

/** The use within the networks of the scope. @returns undefined for all networks: no quota applies there */
export function useOf(state: Inventory, scope: NetworkScope): QuotaUse | undefined {
  if (scope === "all") return undefined;
  const use = { vms: 0, addresses: 0, hosts: 0 };
  for (const network of scope) {
    use.vms += state.countVmsIn(network);
    use.addresses += state.addressesIn(network).size;
    use.hosts += state.hostsIn(network).size;
  }
  return use;
}

/** Changes of numbers that one change set makes. */
class Steppings {
  vms = 0;
  addresses = 0;
  /** By host. */
  readonly vmsOn = new Map<string, number>();
  /** Interfaces by network and host, as one text. */
  readonly interfaces = new Map<string, number>();

  constructor(private readonly scope: ReadonlySet<string>) {}

  count(vm: Vm, step: 1 | -1): void {
    for (const network of countedNetworks(vm)) {
      if (!this.scope.has(network)) continue;
      this.vms += step;
      addTo(this.vmsOn, vm.host, step);
    }
    for (const { network, ips } of vm.interfaces) {
      if (!this.scope.has(network)) continue;
      this.addresses += step * ips.length;
      for (const host of hostsOf(vm)) addTo(this.interfaces, `${network} ${host}`, step);
    }
  }

  /** Of hosts that gain networks, minus those that lose them. */
  hosts(state: Inventory): number {
    let hosts = 0;
    for (const [place, step] of this.interfaces) {
      const [network = "", host = ""] = place.split(" ");
      const before = state.countInterfaces(host, network);
      hosts += Number(before + step > 0) - Number(before > 0);
    }
    return hosts;
  }
}

export function* checkQuota({ base, scope, vms }: Draft, quota: Quota, refuse: OnRefusal): Steps<void> {
  const use = useOf(base, scope);
  if (!use || scope === "all") return;
  const steps = new Steppings(scope);
  let last = "";
  for (const [name, { before, after }] of vms) {
    yield;
    if (before === after) continue;
    if (before) steps.count(before, -1);
    if (after) steps.count(after, 1);
    if (after) last = name;
  }
  const check = (what: string, used: number, step: number, max: number | undefined) => {
    if (max === undefined || step <= 0 || used + step <= max) return;
    const detail =
      `your networks would have ${used + step} ${what}, and the token's quota is ${max} (${used} in use): remove some, or ask ` +
      "an administrator for a token with a larger quota";
    refuse(new Refusal("quota-exceeded", detail), "vm", last);
  };
  check("VMs", use.vms, steps.vms, quota.vms);
  check("addresses", use.addresses, steps.addresses, quota.addresses);
  check("hosts", use.hosts, steps.hosts(base), quota.hosts);
  for (const [host, step] of steps.vmsOn) {
    let there = 0;
    for (const network of scope) there += base.countVmsAt(network, host);
    check(`VMs on host "${host}"`, there, step, quota.vmsPerHost);
  }
}
