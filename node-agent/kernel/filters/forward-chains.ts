// The parts of the host's packet filter that bridged frames go through: the sysctls of br_netfilter, and the chains of nf_tables
// with policy drop. iptables-nft keeps its chains there; netlink does not show those of iptables-legacy.
import { readFileSync } from "node:fs";
import type { BridgeFilter } from "../codec/link-codec.ts";
import { attribute, parseAttributes, readText, text } from "../codec/netlink-codec.ts";
import { NetlinkError, RequestSocket } from "../sockets/request-socket.ts";

const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10 << 8;
const NFT_MSG_GETCHAIN = NFNL_SUBSYS_NFTABLES | 4;
const NFT_MSG_GETRULE = NFNL_SUBSYS_NFTABLES | 7;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_RULE_TABLE = 1;
const NF_DROP = 0;
const nfgenmsgBytes = 4;
/** NF_INET_FORWARD and NF_ARP_FORWARD. */
const forwardHook = 2;
const families: Readonly<Record<number, { readonly name: string; readonly filters: readonly BridgeFilter[] }>> = {
  1: { name: "inet", filters: ["iptables", "ip6tables"] },
  2: { name: "ip", filters: ["iptables"] },
  3: { name: "arp", filters: ["arptables"] },
  10: { name: "ip6", filters: ["ip6tables"] },
};

export const bridgeFilters: readonly BridgeFilter[] = ["iptables", "ip6tables", "arptables"];

/** A chain of the forward hook whose policy is to drop. */
export interface DroppingChain {
  /** As `nft list chain` wants it: family, table, chain. */
  readonly name: string;
  readonly filters: readonly BridgeFilter[];
  /** Rules of its table name our bridges, or the given ones: they are assumed to accept their frames. */
  readonly sparesOurs: boolean;
}

/** The sysctls that send bridged frames through the host's filter; undefined where this kernel has no br_netfilter. */
export function readBridgeFilterSysctls(): BridgeFilter[] | undefined {
  const values = bridgeFilters.map((filter) => [filter, readSysctl(filter)] as const);
  if (values.every(([, value]) => value === undefined)) return undefined;
  return values.filter(([, value]) => value === "1").map(([filter]) => filter);
}

function readSysctl(filter: BridgeFilter): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/bridge/bridge-nf-call-${filter}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

export class ForwardChains {
  private readonly socket: RequestSocket;

  /** Opens in the calling thread's network namespace, and stays there. @throws Error where the kernel has no netfilter */
  constructor() {
    this.socket = new RequestSocket(NETLINK_NETFILTER);
  }

  /**
   * None where the kernel has no nf_tables.
   * @param bridges names that rules may have, beside those of our own bridges
   */
  async dropping(bridges: readonly string[]): Promise<DroppingChain[]> {
    try {
      const messages = await this.socket.dump("list chains", NFT_MSG_GETCHAIN, Buffer.alloc(nfgenmsgBytes));
      const chains = messages.flatMap(({ payload }) => decodeDropping(payload) ?? []);
      return await Promise.all(
        chains.map(async ({ family, table, ...chain }) => {
          const rules = await this.rulesOf(family, table);
          const names = ["nmb", ...bridges].map((name) => Buffer.from(name));
          const sparesOurs = rules.some((rule) => names.some((name) => rule.includes(name)));
          return { ...chain, sparesOurs };
        }),
      );
    } catch (error) {
      if (error instanceof NetlinkError) return [];
      throw error;
    }
  }

  close(): void {
    this.socket.close();
  }

  private async rulesOf(family: number, table: string): Promise<Buffer[]> {
    const head = Buffer.from([family, 0, 0, 0]);
    const payload = Buffer.concat([head, attribute(NFTA_RULE_TABLE, text(table))]);
    const messages = await this.socket.dump("list rules", NFT_MSG_GETRULE, payload);
    return messages.map((message) => message.payload);
  }
}

/** A base chain of the forward hook with policy drop, in a family that bridged frames can reach. */
export function decodeDropping(
  payload: Buffer,
): { family: number; table: string; name: string; filters: readonly BridgeFilter[] } | undefined {
  if (payload.length < nfgenmsgBytes) return undefined;
  const family = payload.readUInt8(0);
  const attributes = parseAttributes(payload.subarray(nfgenmsgBytes));
  const table = readText(attributes.get(NFTA_CHAIN_TABLE));
  const chain = readText(attributes.get(NFTA_CHAIN_NAME));
  const hook = parseAttributes(attributes.get(NFTA_CHAIN_HOOK) ?? Buffer.alloc(0)).get(NFTA_HOOK_HOOKNUM);
  const policy = attributes.get(NFTA_CHAIN_POLICY);
  const known = families[family];
  if (!known || table === undefined || chain === undefined || hook?.length !== 4 || policy?.length !== 4)
    return undefined;
  if (hook.readUInt32BE() !== forwardHook || policy.readUInt32BE() !== NF_DROP) return undefined;
  return { family, table, name: `${known.name} ${table} ${chain}`, filters: known.filters };
}
