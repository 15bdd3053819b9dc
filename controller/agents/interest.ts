// Which hosts need a push when a binding changes. Interest is stored by host, not by connection: the kernel of a host
// whose agent is disconnected keeps forwarding with its entries.
//
// Keys and hosts are ids. A key has the list of its holders; a host has, by network, the ids of its keys in the order in which they
// came. Both together take about 15 bytes for a host and key where keys have ten holders, and 42 where each has one (ADR 0186).
import type { Answer, BindingKey, MacAddress, Vni } from "../../schema/address/index.ts";
import { maxUnknownPerHostAndNetwork } from "../../schema/agent/index.ts";
import { Places } from "../inventory/packed/places.ts";
import { none } from "../inventory/packed/rows.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import { TwoLevelMap } from "../inventory/two-level-map.ts";
import { addTo } from "../inventory/use-counts.ts";
import { emptyList, HolderLists } from "./holder-lists.ts";
import { type IdLog, IdLogs, newIdLog } from "./id-logs.ts";
import { KeyTable } from "./key-table.ts";

/** Keys of one network that a host holds. */
interface Held extends IdLog {
  /** Id of the host. */
  readonly holder: number;
  readonly vni: Vni;
  /** Of these, the keys with a tombstone: flagged in the lists of their holders. */
  unknown: number;
}

export class InterestIndex {
  private readonly keys = new KeyTable();
  private readonly holders = new HolderLists();
  private readonly logs = new IdLogs();
  private readonly hosts = new Places();
  private readonly held = new TwoLevelMap<string, Vni, Held>();
  private readonly overflown = new TwoLevelMap<Vni, string, true>();
  /** Hosts that hold keys of a network, by its VNI. */
  private readonly hostCounts = new Map<Vni, number>();
  private readonly declared = new Set<string>();
  private keyCount = 0;

  constructor(private readonly maxUnknown = maxUnknownPerHostAndNetwork) {}

  /** Keys held, summed over hosts. */
  get size(): number {
    return this.keyCount;
  }

  *holdersOf(key: BindingKey): Generator<string> {
    const id = this.keys.find(key);
    if (id === none) return;
    for (const holder of this.holders.holdersIn(this.keys.get(id))) yield this.hosts.nameOf(holder);
  }

  /** Whether any host holds a key of the network, or gets each new binding of it. */
  isWatched(vni: Vni): boolean {
    return this.hostCounts.has(vni);
  }

  /** Whether the host has the answer to `key` and gets its changes. */
  knows(host: string, key: BindingKey): boolean {
    const id = this.keys.find(key);
    return id !== none && this.holders.find(this.keys.get(id), this.hosts.find(host)) === false;
  }

  /** MACs whose tunnel endpoint the host knows, in the order in which it got to know them. */
  *macsKnownTo(host: string, vni: Vni): Generator<MacAddress> {
    const held = this.held.get(host, vni);
    if (!held) return;
    for (const id of this.keysOf(held)) {
      const mac = this.flagOf(id, held) === false ? this.keys.findMac(id) : undefined;
      if (mac !== undefined) yield mac;
    }
  }

  /** Hosts that get every new binding of the network. */
  overflownIn(vni: Vni): Iterable<string> {
    return this.overflown.under(vni).keys();
  }

  /**
   * Records that the host has the answer. One for an IP address also reveals its MAC. A host's own VMs need no interest: their
   * changes are always pushed to it. Keys that it asked for are still recorded, since the VM may be deleted and created elsewhere.
   */
  holdAnswer(host: string, { key, binding }: Answer, { asked }: { asked: boolean }): void {
    if (binding?.local && !asked) return;
    this.hold(host, key, binding !== null, asked);
    if (!binding || key.kind === "mac") return;
    const revealed: BindingKey = { kind: "mac", vni: key.vni, mac: binding.mac };
    this.hold(host, revealed, true, asked);
  }

  /**
   * Records that the host has the answer to `key`. Keys that it asked for are always recorded; a tombstone that it did not
   * ask for only while there is room, since its absence costs a question later, not a wrong entry.
   */
  hold(host: string, key: BindingKey, known: boolean, asked: boolean): void {
    const held = this.held.get(host, key.vni) ?? this.newHeld(host, key.vni);
    const id = this.keys.reach(key, emptyList);
    const isUnknown = this.holders.find(this.keys.get(id), held.holder);
    if (known || isUnknown || held.unknown < this.maxUnknown) {
      this.put(held, id, { was: isUnknown, is: !known });
      return;
    }
    const promised = isUnknown !== undefined || asked;
    this.drop(held, id);
    if (promised) this.overflown.set(key.vni, host, true);
  }

  /** The host no longer holds `key`: it gets no more pushes for it. */
  release(host: string, key: BindingKey): void {
    const held = this.held.get(host, key.vni);
    const id = held ? this.keys.find(key) : none;
    if (held && id !== none) this.drop(held, id);
  }

  /** The host's last VM left the network: its keys there are void. */
  revoke(host: string, vni: Vni): void {
    atOnce(this.revoking(host, vni));
  }

  /** The host has declared all its keys, and each is recorded here. */
  markDeclared(host: string): void {
    this.declared.add(host);
  }

  /** Whether the host's keys are known. False after a start of the controller, until its agent has reconnected. */
  hasDeclared(host: string): boolean {
    return this.declared.has(host);
  }

  /** The host is gone. */
  forget(host: string): void {
    atOnce(this.forgetting(host));
  }

  /** As `forget`, for a host that declares its keys again. They are unknown until `markDeclared`. */
  *forgetting(host: string): Steps<void> {
    this.declared.delete(host);
    for (const vni of [...this.held.under(host).keys()]) yield* this.revoking(host, vni);
  }

  private *revoking(host: string, vni: Vni): Steps<void> {
    const held = this.held.get(host, vni);
    if (!held) return;
    for (const id of this.keysOf(held)) {
      yield;
      if (this.held.get(host, vni) !== held) return;
      if (this.flagOf(id, held) !== undefined) this.drop(held, id);
    }
    // What came between the steps.
    for (const id of this.keysOf(held)) this.drop(held, id);
    this.logs.clear(held);
    this.overflown.delete(vni, host);
    this.held.delete(host, vni);
    addTo(this.hostCounts, vni, -1);
    this.hosts.release(held.holder);
  }

  private newHeld(host: string, vni: Vni): Held {
    const holder = this.hosts.retain(host);
    const held: Held = { holder, vni, unknown: 0, ...newIdLog() };
    this.held.set(host, vni, held);
    addTo(this.hostCounts, vni, 1);
    return held;
  }

  /** In the order in which the host got to hold them. */
  private keysOf(held: Held): number[] {
    return this.logs.list(held, (id) => this.flagOf(id, held) !== undefined);
  }

  /** Whether the host holds a tombstone for the key; undefined: it holds nothing, or the id has become that of another key. */
  private flagOf(id: number, { holder, vni }: Held): boolean | undefined {
    return this.keys.isIn(id, vni) ? this.holders.find(this.keys.get(id), holder) : undefined;
  }

  /** @param was undefined: the host does not hold it yet */
  private put(held: Held, id: number, { was, is }: { readonly was: boolean | undefined; readonly is: boolean }): void {
    if (was === is) return;
    this.keys.set(id, this.holders.put(this.keys.get(id), held.holder, is));
    held.unknown += Number(is) - Number(was ?? false);
    if (was !== undefined) return;
    this.logs.add(held, id, (each) => this.flagOf(each, held) !== undefined);
    this.keyCount += 1;
  }

  private drop(held: Held, id: number): void {
    const list = this.keys.get(id);
    const isUnknown = this.holders.find(list, held.holder);
    const left = this.holders.delete(list, held.holder);
    if (left === emptyList) this.keys.delete(id);
    else this.keys.set(id, left);
    if (isUnknown === undefined) return;
    held.unknown -= Number(isUnknown);
    this.logs.drop(held);
    this.keyCount -= 1;
  }
}
