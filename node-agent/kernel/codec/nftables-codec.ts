// Rules of nf_tables as bytes (include/uapi/linux/netfilter/nf_tables.h): the few expressions that nearmiss loads without nft(8).
// No I/O. Numbers are in network byte order; what is compared with a packet is in the packet's.
import type { Request } from "../sockets/request-socket.ts";
import { attribute, be32, nested, text } from "./netlink-codec.ts";

export const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const message = (type: number): number => (NFNL_SUBSYS_NFTABLES << 8) | type;
const NFT_MSG_NEWTABLE = message(0);
const NFT_MSG_DELTABLE = message(2);
const NFT_MSG_NEWCHAIN = message(3);
const NFT_MSG_NEWRULE = message(6);
export const NFT_MSG_GETRULE = message(7);
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;

const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NF_DROP = 0;
const NF_ACCEPT = 1;
const NFT_REG_VERDICT = 0;
const NFT_REG_1 = 1;

/** Address families of tables, and the hooks of each that are used here (include/uapi/linux/netfilter*.h). */
export const nftFamilies = { inet: 1, arp: 3, bridge: 7 } as const;
export type NftFamily = keyof typeof nftFamilies;
export const nftHooks = {
  inet: { prerouting: 0 },
  arp: { input: 0 },
  bridge: { input: 1 },
} as const;

/** A match of a rule: the packet is dropped if all agree. */
export type NftMatch =
  | { readonly kind: "meta"; readonly key: keyof typeof metaKeys; readonly equals: Buffer }
  | {
      readonly kind: "payload";
      readonly base: keyof typeof payloadBases;
      readonly offset: number;
      readonly equals: Buffer;
      readonly mask?: Buffer;
    };

const metaKeys = { protocol: 1, iifname: 6, iiftype: 8, l4proto: 16 } as const;
const payloadBases = { link: 0, network: 1, transport: 2 } as const;

/** nfgenmsg: family, version 0, and of a batch which subsystem it is for. */
function nfgenmsg(family: number, subsystem = 0): Buffer {
  return Buffer.of(family, 0, subsystem >> 8, subsystem & 0xff);
}

const expression = (name: string, ...data: Buffer[]): Buffer =>
  nested(NFTA_LIST_ELEM, attribute(NFTA_EXPR_NAME, text(name)), nested(NFTA_EXPR_DATA, ...data));
const number = (type: number, value: number): Buffer => attribute(type, be32(value));
const value = (type: number, bytes: Buffer): Buffer => nested(type, attribute(NFTA_DATA_VALUE, bytes));

const loadMeta = (key: keyof typeof metaKeys): Buffer =>
  expression("meta", number(1, NFT_REG_1), number(2, metaKeys[key]));
const compare = (bytes: Buffer): Buffer => expression("cmp", number(1, NFT_REG_1), number(2, 0), value(3, bytes));

function expressionsOf(match: NftMatch): Buffer[] {
  switch (match.kind) {
    case "meta":
      return [loadMeta(match.key), compare(match.equals)];
    case "payload": {
      const { base, offset, equals, mask } = match;
      const { length } = equals;
      return [
        expression(
          "payload",
          number(1, NFT_REG_1),
          number(2, payloadBases[base]),
          number(3, offset),
          number(4, length),
        ),
        ...(mask
          ? [
              expression(
                "bitwise",
                number(1, NFT_REG_1),
                number(2, NFT_REG_1),
                number(3, length),
                value(4, mask),
                value(5, Buffer.alloc(length)),
              ),
            ]
          : []),
        compare(equals),
      ];
    }
  }
}

const drop = (): Buffer =>
  expression(
    "immediate",
    number(1, NFT_REG_VERDICT),
    nested(2, nested(NFTA_DATA_VERDICT, number(NFTA_VERDICT_CODE, NF_DROP))),
  );

/** A base chain that accepts all packets except those that its rules drop. */
export interface NftChain {
  readonly name: string;
  readonly hook: number;
  /** Lower is earlier (enum nf_ip_hook_priorities). */
  readonly priority: number;
  /** Of each rule all matches. */
  readonly drops: readonly (readonly NftMatch[])[];
}

/** The messages of one transaction that replaces a table by one with a single chain. */
export function encodeTable(family: NftFamily, table: string, chain: NftChain): Request[] {
  const head = nfgenmsg(nftFamilies[family]);
  const named = attribute(1, text(table));
  const create = { type: NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, payload: Buffer.concat([head, named]) };
  return [
    create,
    { type: NFT_MSG_DELTABLE, flags: 0, payload: Buffer.concat([head, named]) },
    create,
    {
      type: NFT_MSG_NEWCHAIN,
      flags: NLM_F_CREATE,
      payload: Buffer.concat([
        head,
        named,
        attribute(3, text(chain.name)),
        nested(4, number(1, chain.hook), number(2, chain.priority)),
        number(5, NF_ACCEPT),
        attribute(7, text("filter")),
      ]),
    },
    ...chain.drops.map((matches) => ({
      type: NFT_MSG_NEWRULE,
      flags: NLM_F_CREATE | NLM_F_APPEND,
      payload: Buffer.concat([
        head,
        named,
        attribute(2, text(chain.name)),
        nested(4, ...matches.flatMap(expressionsOf), drop()),
      ]),
    })),
  ];
}

/** The messages of one transaction that deletes a table, which may be absent. */
export function encodeTableRemoval(family: NftFamily, table: string): Request[] {
  const payload = Buffer.concat([nfgenmsg(nftFamilies[family]), attribute(1, text(table))]);
  return [
    { type: NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, payload },
    { type: NFT_MSG_DELTABLE, flags: 0, payload },
  ];
}

/** Asks for all rules of a table. */
export const encodeRuleDump = (family: NftFamily, table: string): Buffer =>
  Buffer.concat([nfgenmsg(nftFamilies[family]), attribute(1, text(table))]);

/** The messages around a transaction (enum nfnl_batch_attributes). */
export const batchEnds: readonly [Request, Request] = [
  { type: 0x10, flags: 0, payload: nfgenmsg(0, NFNL_SUBSYS_NFTABLES) },
  { type: 0x11, flags: 0, payload: nfgenmsg(0, NFNL_SUBSYS_NFTABLES) },
];
