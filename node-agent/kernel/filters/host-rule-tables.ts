// The tables of `host-rules.ts` in the kernel: loaded in one transaction each, read back, and recognised. network-devices.ts
// decides which networks are adopted, guard/host-guard.ts when the tables are checked.
import type { Vni } from "../../../schema/address/index.ts";
import {
  batchEnds,
  encodeRuleDump,
  encodeTable,
  encodeTableRemoval,
  NETLINK_NETFILTER,
  NFT_MSG_GETRULE,
  type NftFamily,
} from "../codec/nftables-codec.ts";
import { NetlinkError, RequestSocket } from "../sockets/request-socket.ts";
import { type AdoptedBridges, hostChains, hostTable } from "./host-rules.ts";

/** nfgenmsg, whose last two bytes change with every change of any rule. */
const headBytes = 4;

interface AdoptedBridge {
  readonly name: string;
  readonly tunnelPort: number;
}

export class HostRuleTables {
  private readonly adopted = new Map<Vni, AdoptedBridge>();
  /** The kernel's output right after loading. */
  private readonly shown = new Map<NftFamily, Buffer>();

  private constructor(private readonly socket: RequestSocket) {}

  /** Opens its socket in the calling thread's network namespace. @returns undefined where the kernel has no netfilter */
  static open(): HostRuleTables | undefined {
    try {
      return new HostRuleTables(new RequestSocket(NETLINK_NETFILTER));
    } catch {
      return undefined;
    }
  }

  /** Loads the tables that are missing or were changed. @returns whether there were any @throws NetlinkError */
  async settle(): Promise<boolean> {
    let loaded = false;
    for (const [family, chain] of hostChains(this.bridges())) {
      const shown = this.shown.get(family);
      if (chain ? shown && (await this.show(family)).equals(shown) : !shown) continue;
      loaded = true;
      await this.load(family);
    }
    return loaded;
  }

  /** Keeps the guests of an adopted bridge from this host's tunnels. @throws NetlinkError */
  async coverAdopted(vni: Vni, name: string, tunnelPort: number): Promise<void> {
    const known = this.adopted.get(vni);
    if (known?.name === name && known.tunnelPort === tunnelPort) return;
    this.adopted.set(vni, { name, tunnelPort });
    try {
      for (const family of ["inet", "arp"] as const) await this.load(family);
    } catch (error) {
      this.adopted.delete(vni);
      throw error;
    }
  }

  /** A network leaves this host. @throws NetlinkError */
  async uncover(vni: Vni): Promise<void> {
    if (!this.adopted.delete(vni)) return;
    for (const family of ["inet", "arp"] as const) await this.load(family);
  }

  /** The tables stay: the data path does not need the agent. */
  close(): void {
    this.socket.close();
  }

  private bridges(): AdoptedBridges {
    const adopted = [...this.adopted.values()];
    return {
      names: [...new Set(adopted.map(({ name }) => name))],
      tunnelPorts: [...new Set(adopted.map(({ tunnelPort }) => tunnelPort))],
    };
  }

  private async load(family: NftFamily): Promise<void> {
    const chain = hostChains(this.bridges()).get(family);
    const requests = chain ? encodeTable(family, hostTable, chain) : encodeTableRemoval(family, hostTable);
    await this.socket.transact(`loading the table ${family} ${hostTable}`, requests, batchEnds);
    if (chain) this.shown.set(family, await this.show(family));
    else this.shown.delete(family);
  }

  /** All rules as bytes; empty where the table is gone. @throws NetlinkError */
  private async show(family: NftFamily): Promise<Buffer> {
    try {
      const what = `reading the table ${family} ${hostTable}`;
      const messages = await this.socket.dump(what, NFT_MSG_GETRULE, encodeRuleDump(family, hostTable));
      return Buffer.concat(messages.map(({ payload }) => payload.subarray(headBytes)));
    } catch (error) {
      if (error instanceof NetlinkError && error.acknowledgement.errno === ENOENT) return Buffer.alloc(0);
      throw error;
    }
  }
}

const ENOENT = 2;
