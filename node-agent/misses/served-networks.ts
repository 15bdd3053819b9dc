// Which networks the thread that answers misses serves: those with devices, and a table in memory that answers. Pure.
import type { Vni } from "../../schema/address/index.ts";
import type { AnsweringTable, Replicas } from "../tables/replicas.ts";

/** Of the network's vxlan device and its bridge. */
export interface ServedDevice {
  readonly ifindex: number;
  readonly bridgeIfindex: number;
}

export interface ServedNetworksDependencies {
  readonly thread: {
    serve(vni: Vni, device: ServedDevice, table: AnsweringTable): void;
    leave(vni: Vni): void;
  };
  readonly replicas: Pick<Replicas, "shared">;
  /** A network is served: its misses need an allowance. */
  grant(vni: Vni): void;
}

export class ServedNetworks {
  private readonly devices = new Map<Vni, ServedDevice>();

  constructor(private readonly deps: ServedNetworksDependencies) {}

  readonly onDevice = (vni: Vni, device: ServedDevice): void => {
    this.devices.set(vni, device);
    this.onTable(vni);
  };

  readonly onDeviceGone = (vni: Vni): void => {
    this.devices.delete(vni);
    this.deps.thread.leave(vni);
  };

  /** The table, or its buffers, are others. */
  readonly onTable = (vni: Vni): void => {
    const { thread, replicas, grant } = this.deps;
    const device = this.devices.get(vni);
    const table = replicas.shared(vni);
    if (!device) return;
    if (!table) {
      thread.leave(vni);
      return;
    }
    thread.serve(vni, device, table);
    grant(vni);
  };
}
