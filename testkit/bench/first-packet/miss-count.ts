// What the kernels of some hosts miss, read beside their agents, for modes in which nothing should be missed.
import { MissSocket } from "../../../node-agent/kernel/sockets/miss-socket.ts";
import { parseVni } from "../../../schema/address/index.ts";
import { inNamespace, type Namespace } from "../../lab/namespace.ts";
import { network } from "../addresses.ts";

export class MissCount {
  private count = 0;
  private readonly sockets: MissSocket[];

  /** @param ips others' misses are not counted */
  constructor(hosts: readonly Pick<Namespace, "namespace">[], ips: readonly string[]) {
    const vni = parseVni(network.vni);
    this.sockets = hosts.map(({ namespace }) => {
      const socket = inNamespace(namespace, () => new MissSocket(() => vni));
      socket.read((miss) => {
        if (miss.kind === "l3miss" && ips.includes(miss.ip)) this.count += 1;
      });
      return socket;
    });
  }

  /** @returns misses since the start */
  async end(): Promise<number> {
    // The kernel has queued them before the answer that ended the trial; the package reads them in a turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    for (const socket of this.sockets) socket.close();
    return this.count;
  }
}
