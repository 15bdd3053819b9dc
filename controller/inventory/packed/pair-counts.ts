// How many interfaces and VMs a host has in a network, listed from both ends.
import { Chains } from "./chains.ts";
import { PairNumbers, pairHost, pairInterfaces, pairNetwork, pairVms } from "./pair-numbers.ts";

/** Of the two lists: the fields behind those of the numbers. */
const listFields = 4;

export class PairCounts {
  private readonly pairs = new PairNumbers(listFields);
  private readonly rows = this.pairs.rows;
  private readonly byHost = new Chains(this.rows, 4, 5);
  private readonly byNetwork = new Chains(this.rows, 6, 7);

  interfacesOf(host: number, network: number): number {
    return this.pairs.numberOf(host, network, pairInterfaces);
  }

  vmsOf(host: number, network: number): number {
    return this.pairs.numberOf(host, network, pairVms);
  }

  /** Networks in which the host has interfaces, in the order in which it got the first. */
  *networksOn(host: number): Generator<number> {
    for (const id of this.byHost.in(host)) yield this.rows.get(id, pairNetwork);
  }

  *hostsIn(network: number): Generator<number> {
    for (const id of this.byNetwork.in(network)) yield this.rows.get(id, pairHost);
  }

  countNetworksOn(host: number): number {
    return this.byHost.size(host);
  }

  countHostsIn(network: number): number {
    return this.byNetwork.size(network);
  }

  /** As `addInterfaces` and `addVms` of one VM. @param step interfaces, one at least */
  addVm(host: number, network: number, step: number): void {
    const id = this.pairs.reach(host, network);
    const before = this.rows.get(id, pairInterfaces);
    this.rows.set(id, pairInterfaces, before + step);
    this.rows.set(id, pairVms, this.rows.get(id, pairVms) + 1);
    if (before === 0) this.list(id, host, network);
  }

  addInterfaces(host: number, network: number, step: number): void {
    const id = this.pairs.reach(host, network);
    const before = this.rows.get(id, pairInterfaces);
    this.rows.set(id, pairInterfaces, before + step);
    if (before === 0) this.list(id, host, network);
    else if (before + step === 0) {
      this.byHost.remove(host, id);
      this.byNetwork.remove(network, id);
      this.pairs.dropUnused(id);
    }
  }

  addVms(host: number, network: number, step: number): void {
    const id = this.pairs.reach(host, network);
    this.rows.set(id, pairVms, this.rows.get(id, pairVms) + step);
    this.pairs.dropUnused(id);
  }

  private list(id: number, host: number, network: number): void {
    this.byHost.append(host, id);
    this.byNetwork.append(network, id);
  }
}
