// The derived facts that travel to agents, each with its revision: (VNI, IP) → MAC, (VNI, MAC) → VTEP, and the networks of a host.
import type { IpAddress, MacAddress, Revision, Subnet, Vni, VtepAddress } from "./address.ts";

/** The key of a miss, of a binding and of interest. */
export type BindingKey =
  | { readonly kind: "ip"; readonly vni: Vni; readonly ip: IpAddress }
  | { readonly kind: "mac"; readonly vni: Vni; readonly mac: MacAddress };

/** Where a MAC address lives. */
export interface Binding {
  readonly mac: MacAddress;
  readonly host: string;
  readonly vtep: VtepAddress;
  /** UDP port of the VTEP. */
  readonly vtepPort: number;
  /** The VM runs on the receiving host: never program it on the tunnel. */
  readonly local?: true;
  readonly router?: true;
  /** The local host's bridge port of the interface, where it is registered. */
  readonly guestPort?: string;
  /** Of an interface of the local host with a port: addresses that its guest may take, and prefixes that it may send from. */
  readonly allowed?: readonly (IpAddress | Subnet)[];
}

/** A binding at a revision; `null` is a tombstone: nothing is registered under the key. */
export interface Answer {
  readonly key: BindingKey;
  /** Last change of this binding, its host or its network; for a tombstone, the revision of the answering index. */
  readonly revision: Revision;
  readonly binding: Binding | null;
}

/** An interface of a VM that is being migrated to the agent's host, and that still runs on another. */
export interface PreparedGuest {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ips: readonly IpAddress[];
  /** The bridge port that it will have there, where it is registered. */
  readonly port?: string;
}

/** Without addresses: it is not being migrated there any more. */
export type PreparedChange = PreparedGuest | (Pick<PreparedGuest, "vni" | "mac"> & { readonly ips?: never });

/** A network that has a VM on the agent's host. */
export interface AgentNetwork {
  readonly name: string;
  readonly vni: Vni;
  readonly mtu: number;
  readonly revision: Revision;
  /** The host should have every binding of the network in memory, or also in the kernel. Absent: those that its guests ask for. */
  readonly knowledge?: WholeKnowledge;
  /** Its guests' broadcasts are copied to every host of the network. Absent: they stay on their host. */
  readonly broadcast?: "replicate";
}

const wholeKnowledge = ["replicate", "prefetch"] as const;
export type WholeKnowledge = (typeof wholeKnowledge)[number];

/** Undefined: on demand, as is what a newer version may call otherwise. */
export function findWholeKnowledge(text: string | undefined): WholeKnowledge | undefined {
  return wholeKnowledge.find((each) => each === text);
}

/** One text per key, for maps and sets. */
export function keyText(key: BindingKey): string {
  return `${key.vni} ${addressOf(key)}`;
}

export function addressOf(key: BindingKey): IpAddress | MacAddress {
  return key.kind === "ip" ? key.ip : key.mac;
}
