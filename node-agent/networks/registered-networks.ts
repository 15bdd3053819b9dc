// The networks of this host and its tunnel end, as the controller sent them last. No I/O.
import { type AgentNetwork, familyOf, type Vni, type VtepAddress } from "../../schema/address/index.ts";
import type { LocalVtep } from "../kernel/devices/device-fit.ts";
import { PreparedGuests } from "../tables/prepared-guests.ts";

type RegisteredEnd = Omit<LocalVtep, "registered">;

export class RegisteredNetworks {
  /** As the controller sent it. */
  registeredEnd: RegisteredEnd | undefined;
  /** The controller's store that the networks are from. */
  epoch = "";
  /** Guests of VMs that are being migrated to this host. */
  readonly prepared = new PreparedGuests();
  private readonly networks = new Map<Vni, AgentNetwork>();

  /** @param local the address of this host's tunnel end where address translation lies between it and the registered one */
  constructor(private readonly local?: VtepAddress) {}

  /**
   * This host's tunnel end, once the controller has sent it. A local address of the other family is not used: peers send over the
   * family of the registered one.
   */
  get tunnelEnd(): LocalVtep | undefined {
    const { local, registeredEnd: end } = this;
    if (!end || local === undefined || familyOf(local) !== familyOf(end.vtep)) return end;
    return { vtep: local, vtepPort: end.vtepPort, registered: end.vtep };
  }

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
    for (const vni of gone) {
      this.networks.delete(vni);
      this.prepared.forget(vni);
    }
  }
}
