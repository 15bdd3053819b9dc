// How many interfaces and VMs a host has in a network, listed from both ends.
import { Chains } from "./chains.ts";
import { HashIndex } from "./hash-index.ts";
import { hashOfWords } from "./hashing.ts";
import { none, Rows } from "./rows.ts";

const pairHost = 0;
const pairNetwork = 1;
const interfaces = 2;
const vms = 3;
const fields = 8;

export class PairCounts {
  private readonly rows = new Rows(fields);
  private readonly index = new HashIndex();
  private readonly byHost = new Chains(this.rows, 4, 5);
  private readonly byNetwork = new Chains(this.rows, 6, 7);

  interfacesOf(host: number, network: number): number {
    const id = this.find(host, network);
    return id === none ? 0 : this.rows.get(id, interfaces);
  }

  vmsOf(host: number, network: number): number {
    const id = this.find(host, network);
    return id === none ? 0 : this.rows.get(id, vms);
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
    const id = this.reach(host, network);
    const before = this.rows.get(id, interfaces);
    this.rows.set(id, interfaces, before + step);
    this.rows.set(id, vms, this.rows.get(id, vms) + 1);
    if (before === 0) this.list(id, host, network);
  }

  addInterfaces(host: number, network: number, step: number): void {
    const id = this.reach(host, network);
    const before = this.rows.get(id, interfaces);
    this.rows.set(id, interfaces, before + step);
    if (before === 0) this.list(id, host, network);
    else if (before + step === 0) {
      this.byHost.remove(host, id);
      this.byNetwork.remove(network, id);
      this.dropUnused(id);
    }
  }

  addVms(host: number, network: number, step: number): void {
    const id = this.reach(host, network);
    this.rows.set(id, vms, this.rows.get(id, vms) + step);
    this.dropUnused(id);
  }

  private list(id: number, host: number, network: number): void {
    this.byHost.append(host, id);
    this.byNetwork.append(network, id);
  }

  private find(host: number, network: number, hash = hashOfWords(host, network)): number {
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (this.rows.get(id, pairHost) === host && this.rows.get(id, pairNetwork) === network) return id;
    }
    return none;
  }

  private reach(host: number, network: number): number {
    const hash = hashOfWords(host, network);
    const known = this.find(host, network, hash);
    if (known !== none) return known;
    const id = this.rows.add();
    this.rows.set(id, pairHost, host);
    this.rows.set(id, pairNetwork, network);
    this.rows.set(id, interfaces, 0);
    this.rows.set(id, vms, 0);
    this.index.add(hash, id);
    return id;
  }

  private dropUnused(id: number): void {
    if (this.rows.get(id, interfaces) !== 0 || this.rows.get(id, vms) !== 0) return;
    this.index.delete(hashOfWords(this.rows.get(id, pairHost), this.rows.get(id, pairNetwork)), id);
    this.rows.delete(id);
  }
}
