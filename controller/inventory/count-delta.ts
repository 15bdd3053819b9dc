// By how much the numbers of an inventory differ from those of the tables below it.
import type { ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { hostsOf } from "./hosts-of.ts";
import { NamedPairs } from "./named-pairs.ts";
import { addTo, countedNetworks } from "./use-counts.ts";

export class CountDelta {
  readonly resources: Record<ResourceKind, number> = { network: 0, host: 0, vm: 0 };
  /** VMs that run on a host. */
  readonly vmsOn = new Map<string, number>();
  /** VMs that count in a network (`countedNetworks`). */
  readonly vmsIn = new Map<string, number>();
  /** Interfaces by host and network, those of VMs that are prepared on the host included; and VMs that count there. */
  readonly pairs = new NamedPairs();
  readonly addresses = new Map<string, number>();
  /** VMs with an interface in a network. */
  readonly attached = new Map<string, number>();

  /** The inventory changes so; with -1 the tables below it do. */
  count(change: ResourceChange, step: 1 | -1): void {
    this.countRemoval(change, step);
    this.countAddition(change, step);
  }

  /** The first half of a change: `before` leaves. */
  countRemoval({ kind, before, after }: ResourceChange, step: 1 | -1): void {
    if (!before) return;
    if (!after) this.resources[kind] -= step;
    if (kind !== "vm") return;
    this.countVm(before, inverse(step));
    // One that stays leaves the lists of names when it comes back.
    if (!after) this.countAttached(before, inverse(step));
  }

  countAddition({ kind, before, after }: ResourceChange, step: 1 | -1): void {
    if (!after) return;
    if (!before) this.resources[kind] += step;
    if (kind !== "vm") return;
    this.countVm(after, step);
    if (before) this.countAttached(before, inverse(step));
    this.countAttached(after, step);
  }

  private countVm(vm: Vm, step: 1 | -1): void {
    addTo(this.vmsOn, vm.host, step);
    for (const network of countedNetworks(vm)) {
      addTo(this.vmsIn, network, step);
      this.pairs.addVms(vm.host, network, step);
    }
    for (const { network, ips } of vm.interfaces) {
      addTo(this.addresses, network, step * ips.length);
      for (const host of hostsOf(vm)) this.pairs.addInterfaces(host, network, step);
    }
  }

  private countAttached({ interfaces }: Vm, step: 1 | -1): void {
    for (const network of new Set(interfaces.map((each) => each.network))) addTo(this.attached, network, step);
  }
}

const inverse = (step: 1 | -1): 1 | -1 => (step === 1 ? -1 : 1);
