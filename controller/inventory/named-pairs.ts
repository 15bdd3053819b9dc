// Numbers of interfaces and VMs by host and network, both by name: of what a change set or a layer adds to those of the tables.
import { PairNumbers, pairHost, pairInterfaces, pairNetwork, pairVms } from "./packed/pair-numbers.ts";
import { Places } from "./packed/places.ts";

export class NamedPairs {
  private readonly pairs = new PairNumbers();
  private readonly hosts = new Places();
  private readonly networks = new Places();

  get size(): number {
    return this.pairs.size;
  }

  /** Those with numbers. */
  *[Symbol.iterator](): Generator<readonly [host: string, network: string], void, void> {
    const { rows } = this.pairs;
    for (const id of this.pairs.ids()) {
      yield [this.hosts.nameOf(rows.get(id, pairHost)), this.networks.nameOf(rows.get(id, pairNetwork))];
    }
  }

  interfacesOf(host: string, network: string): number {
    return this.numberOf(host, network, pairInterfaces);
  }

  vmsOf(host: string, network: string): number {
    return this.numberOf(host, network, pairVms);
  }

  addInterfaces(host: string, network: string, step: number): void {
    this.add(host, network, pairInterfaces, step);
  }

  addVms(host: string, network: string, step: number): void {
    this.add(host, network, pairVms, step);
  }

  private numberOf(host: string, network: string, field: number): number {
    if (this.pairs.size === 0) return 0;
    return this.pairs.numberOf(this.hosts.find(host), this.networks.find(network), field);
  }

  /** A name has an id as long as a pair has it. */
  private add(host: string, network: string, field: number, step: number): void {
    const hostId = this.hosts.retain(host);
    const networkId = this.networks.retain(network);
    const id = this.pairs.reach(hostId, networkId, () => {
      this.hosts.retainAgain(hostId);
      this.networks.retainAgain(networkId);
    });
    const { rows } = this.pairs;
    rows.set(id, field, rows.get(id, field) + step);
    if (this.pairs.dropUnused(id)) this.release(hostId, networkId);
    this.release(hostId, networkId);
  }

  private release(host: number, network: number): void {
    this.hosts.release(host);
    this.networks.release(network);
  }
}
