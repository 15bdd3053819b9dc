// A model of the inventory: plain lists that are searched from end to end. Lists are in the order in which their members came.

import { hostsOf } from "../../controller/inventory/hosts-of.ts";
import { addTo, countedNetworks } from "../../controller/inventory/use-counts.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Host, type InterfaceSpec, interfaceKey, type Network, type Vm } from "../../schema/rest/index.ts";

interface Attached extends InterfaceSpec {
  readonly vm: Vm;
}

export class PlainInventory {
  readonly networks = new Map<string, Network>();
  readonly hosts = new Map<string, Host>();
  readonly vms = new Map<string, Vm>();
  /** Interfaces by host and network, in the order in which each pair got its first. */
  readonly interfaces = new Map<string, number>();

  apply(changes: readonly ResourceChange[]): void {
    for (const { kind, before } of changes) {
      if (!before) continue;
      this.resourcesOf(kind).delete(before.name);
      if (kind === "vm") this.count(before as Vm, -1);
    }
    for (const { kind, after } of changes) {
      if (!after) continue;
      (this.resourcesOf(kind) as Map<string, object>).set(after.name, after);
      if (kind === "vm") this.count(after as Vm, 1);
    }
  }

  copy(): PlainInventory {
    const made = new PlainInventory();
    for (const [from, to] of [
      [this.networks, made.networks],
      [this.hosts, made.hosts],
      [this.vms, made.vms],
      [this.interfaces, made.interfaces],
    ] as [Map<string, unknown>, Map<string, unknown>][]) {
      for (const [key, value] of from) to.set(key, value);
    }
    return made;
  }

  get attached(): Attached[] {
    return [...this.vms.values()].flatMap((vm) => vm.interfaces.map((each) => ({ ...each, vm })));
  }

  vmsWith(fits: (vm: Vm) => boolean): string[] {
    return [...this.vms.values()].filter(fits).map(({ name }) => name);
  }

  keysWith(fits: (each: Attached) => boolean): string[] {
    return this.attached.filter(fits).map(({ vm, name }) => interfaceKey(vm.name, name));
  }

  countVms(network: string, host?: string): number {
    return this.vmsWith((vm) => countedNetworks(vm).has(network) && (host ?? vm.host) === vm.host).length;
  }

  private resourcesOf(kind: ResourceChange["kind"]): Map<string, Network | Host | Vm> {
    return { network: this.networks, host: this.hosts, vm: this.vms }[kind] as Map<string, Network | Host | Vm>;
  }

  private count(vm: Vm, step: 1 | -1): void {
    for (const { network } of vm.interfaces) {
      for (const host of hostsOf(vm)) addTo(this.interfaces, `${host} ${network}`, step);
    }
  }
}
