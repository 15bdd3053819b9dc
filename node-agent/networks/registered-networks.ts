// The networks of this host and its tunnel end, as the controller sent them last. No I/O.
import type { AgentNetwork, Vni } from "../../schema/address/index.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";

export class RegisteredNetworks {
  /** This host's tunnel end, once the controller has sent it. */
  tunnelEnd: LocalVtep | undefined;
  /** The controller's store that the networks are from. */
  epoch = "";
  private readonly networks = new Map<Vni, AgentNetwork>();

  get size(): number {
    return this.networks.size;
  }

  /** The networks that have a VM on this host. */
  list(): AgentNetwork[] {
    return [...this.networks.values()];
  }

  vnis(): Vni[] {
    return [...this.networks.keys()];
  }

  has(vni: Vni): boolean {
    return this.networks.has(vni);
  }

  find(vni: Vni): AgentNetwork | undefined {
    return this.networks.get(vni);
  }

  nameOf(vni: Vni): string | undefined {
    return this.networks.get(vni)?.name;
  }

  /** The complete set of the store of `epoch`. */
  replace(networks: readonly AgentNetwork[], epoch: string): void {
    this.epoch = epoch;
    this.networks.clear();
    this.change(networks, []);
  }

  /** Some networks changed, some left this host. */
  change(networks: readonly AgentNetwork[], gone: readonly Vni[]): void {
    for (const network of networks) this.networks.set(network.vni, network);
    for (const vni of gone) this.networks.delete(vni);
  }
}
