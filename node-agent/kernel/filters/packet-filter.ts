// Reads the chains of nf_tables that a tunnelled packet passes, with as many of their rules and sets as are needed to follow it.

import { attribute, text } from "../codec/netlink-codec.ts";
import { NETLINK_NETFILTER } from "../codec/nftables-codec.ts";
import {
  type BaseChain,
  decodeBaseChain,
  decodeDormant,
  decodeElements,
  decodeRule,
  decodeVerdict,
  type FilterFamily,
  type Rule,
  type SetElement,
} from "../codec/rule-codec.ts";
import { NetlinkError, RequestSocket } from "../sockets/request-socket.ts";
import { type LoadedTable, RuleMachine, type TunnelPacket } from "./rule-machine.ts";

const message = (type: number): number => (10 << 8) | type;
const NFT_MSG_GETTABLE = message(1);
const NFT_MSG_GETCHAIN = message(4);
const NFT_MSG_GETRULE = message(7);
const NFT_MSG_GETSETELEM = message(13);
const anyFamily = Buffer.alloc(4);
/** Of enum nf_inet_hooks, and enum nf_dev_hooks for the family netdev. */
const passed = { in: { inet: [0, 1, 5], netdev: [0] }, out: { inet: [3, 4], netdev: [1] } } as const;
/** A set that is larger is not looked into: rules that do are unsure. */
const maxElements = 4_096;
/** Rules of a ruleset that is larger are unsure, so reading it is bounded. */
const maxRules = 4_096;

/** A chain that drops tunnelled packets, as `nft list chain` wants it. */
export interface DroppingHook {
  readonly chain: string;
  readonly packet: TunnelPacket;
}

const familyNames = { 1: "inet", 2: "ip", 5: "netdev", 10: "ip6" } as const satisfies Record<FilterFamily, string>;

interface Loading {
  readonly chains: Map<string, readonly Rule[]>;
  readonly sets: Map<string, readonly SetElement[]>;
}

export class PacketFilter {
  private readonly socket: RequestSocket;

  /** Opens in the calling thread's network namespace, and stays there. @throws Error where the kernel has no netfilter */
  constructor() {
    this.socket = new RequestSocket(NETLINK_NETFILTER);
  }

  /** The first chain that drops each of the packets, for those that are dropped. @throws NetlinkError */
  async dropping(packets: readonly TunnelPacket[]): Promise<DroppingHook[]> {
    const bases = (await this.baseChains()).sort((a, b) => a.priority - b.priority);
    const tables = new Map<string, LoadedTable>();
    const used = bases.filter((base) => packets.some((packet) => passes(packet, base)));
    const left = { rules: maxRules };
    for (const base of used) await this.load(base, tables, left);
    return packets.flatMap((packet) => {
      const machine = new RuleMachine(packet);
      // Incoming packets pass the hooks in the order of their numbers, but for those of devices, which are first.
      const order = used.filter((base) => passes(packet, base)).sort((a, b) => stage(a) - stage(b));
      for (const base of order) {
        const table = tables.get(keyOf(base));
        if (table && machine.run(base, table) === "drop")
          return [{ chain: `${familyNames[base.family]} ${base.table} ${base.name}`, packet }];
      }
      return [];
    });
  }

  close(): void {
    this.socket.close();
  }

  private async baseChains(): Promise<BaseChain[]> {
    const dormant = new Set(
      (await this.socket.dump("list tables", NFT_MSG_GETTABLE, anyFamily)).flatMap(
        ({ payload }) => decodeDormant(payload) ?? [],
      ),
    );
    const messages = await this.socket.dump("list chains", NFT_MSG_GETCHAIN, anyFamily);
    return messages
      .flatMap(({ payload }) => decodeBaseChain(payload) ?? [])
      .filter(({ family, table }) => !dormant.has(`${family} ${table}`) && !isOurs(table));
  }

  /** With the chains that its rules jump to. */
  private async load(base: BaseChain, tables: Map<string, LoadedTable>, left: { rules: number }): Promise<void> {
    const loading = (tables.get(keyOf(base)) as Loading | undefined) ?? { chains: new Map(), sets: new Map() };
    tables.set(keyOf(base), loading);
    const wanted = [base.name];
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      if (loading.chains.has(name) || left.rules <= 0) continue;
      const rules = await this.rulesOf(base, name);
      left.rules -= rules.length;
      loading.chains.set(name, rules);
      for (const expression of rules.flat()) {
        const { chain } = (expression.name === "immediate" && decodeVerdict(expression.data.get(2))) || {};
        if (chain !== undefined) wanted.push(chain);
        if (expression.name !== "lookup") continue;
        const set = expression.data.get(1)?.toString("utf8").replace(/\0.*$/s, "") ?? "";
        if (!loading.sets.has(set)) {
          const elements = await this.elementsOf(base, set);
          if (elements.length <= maxElements) loading.sets.set(set, elements);
          for (const { verdict } of elements) if (verdict?.chain !== undefined) wanted.push(verdict.chain);
        }
      }
    }
  }

  private async rulesOf({ family, table }: BaseChain, chain: string): Promise<Rule[]> {
    const payload = Buffer.concat([head(family), attribute(1, text(table)), attribute(2, text(chain))]);
    const messages = await this.dump("list rules", NFT_MSG_GETRULE, payload);
    return messages.map(({ payload: bytes }) => decodeRule(bytes));
  }

  private async elementsOf({ family, table }: BaseChain, set: string): Promise<SetElement[]> {
    const payload = Buffer.concat([head(family), attribute(1, text(table)), attribute(2, text(set))]);
    const messages = await this.dump("list elements", NFT_MSG_GETSETELEM, payload);
    return messages.flatMap(({ payload: bytes }) => decodeElements(bytes));
  }

  /** What was deleted since is empty. */
  private async dump(what: string, type: number, payload: Buffer) {
    try {
      return await this.socket.dump(what, type, payload);
    } catch (error) {
      if (error instanceof NetlinkError) return [];
      throw error;
    }
  }
}

const head = (family: FilterFamily): Buffer => Buffer.of(Number(family), 0, 0, 0);
const keyOf = ({ family, table }: BaseChain): string => `${family} ${table}`;

/** Tables of the agent, such as that of `--underlay-filter`, which lets the hosts of the networks pass. */
const isOurs = (table: string): boolean => table === "nearmiss" || table.startsWith("nearmiss-");

function passes({ direction, device, family }: TunnelPacket, base: BaseChain): boolean {
  const { hook, devices } = base;
  const name = familyNames[base.family];
  if ((name === "ip" && family !== 4) || (name === "ip6" && family !== 6)) return false;
  const hooks: readonly number[] = passed[direction][name === "netdev" ? "netdev" : "inet"];
  const isOfDevice = name === "netdev" || hook === 5;
  return hooks.includes(hook) && (!isOfDevice || devices.includes(device));
}

const stage = (base: BaseChain): number => (base.hook === 5 || familyNames[base.family] === "netdev" ? -1 : base.hook);
