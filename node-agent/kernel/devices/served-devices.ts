// Which devices serve which networks of this host: looked up for every miss and every entry. No I/O.
import type { Vni } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import type { EntryDevice } from "../codec/neighbour-codec.ts";
import { disownedEpoch, epochOf } from "./device-names.ts";

export class ServedDevices {
  private readonly byVni = new Map<Vni, EntryDevice>();
  private readonly byIfindex = new Map<number, Vni>();
  private readonly epochs = new Map<Vni, string>();

  /** The vxlan device of a network. */
  readonly deviceOf = (vni: Vni): EntryDevice | undefined => this.byVni.get(vni);
  /** The network behind a vxlan device of ours. */
  readonly vniOf = (ifindex: number): Vni | undefined => this.byIfindex.get(ifindex);
  /** The network behind one of our bridges. */
  readonly vniOfBridge = (ifindex: number): Vni | undefined =>
    this.list().find((device) => device.bridgeIfindex === ifindex)?.vni;
  readonly vnis = (): Vni[] => [...this.byVni.keys()];
  /** The controller's store that a network's devices were made for, or undefined where that is not known. */
  readonly epochOf = (vni: Vni): string | undefined => this.epochs.get(vni);

  list(): EntryDevice[] {
    return [...this.byVni.values()];
  }

  remember(link: Link, bridgeIfindex: number): void {
    if (!link.vxlan) return;
    const { vni, port } = link.vxlan;
    this.byVni.set(vni, { ifindex: link.ifindex, bridgeIfindex, vni, vtepPort: port });
    this.byIfindex.set(link.ifindex, vni);
    const epoch = epochOf(link);
    if (epoch) this.epochs.set(vni, epoch);
  }

  disown(vni: Vni): void {
    if (this.byVni.has(vni)) this.epochs.set(vni, disownedEpoch);
  }

  forget(vni: Vni): void {
    const device = this.byVni.get(vni);
    if (!device) return;
    this.byVni.delete(vni);
    this.byIfindex.delete(device.ifindex);
    this.epochs.delete(vni);
  }
}
