// The keys that a host declares, collected over the frames of its declaration: each once, and within limits. Registered
// keys of the host's networks are limited by the inventory; unregistered ones have a limit of their own. A host that reads
// nothing keeps its declaration in memory, so keys are rows.
import type { BindingKey, Vni } from "../../schema/address/index.ts";
import { type HeldKind, maxUnknownPerHostAndNetwork } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import { isBound } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import { none } from "../inventory/packed/rows.ts";
import { KeyTable } from "./key-table.ts";

/** Keys of networks that the host may not know: left over from networks that it has lost. Each is answered as unknown. */
const maxForeign = 4_096;

export interface DeclaredKey {
  readonly key: BindingKey;
  /** The answer that the host has, at the position of its hello. */
  readonly held: HeldKind | undefined;
}

/** As numbers of rows. */
const heldKinds: readonly (HeldKind | undefined)[] = [undefined, "binding", "tombstone"];

export class Declaration {
  private readonly table = new KeyTable();
  private readonly unknown = new Map<Vni, number>();
  private foreign = 0;
  private leftOutCount = 0;

  /** Keys that are rejected, since the host has too many unregistered ones. The agent forgets them, and asks again. */
  get leftOut(): number {
    return this.leftOutCount;
  }

  *keys(): Generator<DeclaredKey, void, void> {
    for (const id of this.table.ids()) yield { key: this.table.keyOf(id), held: heldKinds[this.table.get(id)] };
  }

  has(key: BindingKey): boolean {
    return this.table.find(key) !== none;
  }

  /**
   * @param state as it is now
   * @param held what the host has for each of the keys
   */
  add(state: Inventory, host: string, keys: readonly BindingKey[], held?: HeldKind): void {
    // Most keys of a frame are of one network.
    let vni: Vni | undefined;
    let network: Network | undefined;
    const kind = heldKinds.indexOf(held);
    for (const key of keys) {
      if (this.has(key)) continue;
      if (key.vni !== vni) network = findKnownNetwork(state, host, key.vni);
      vni = key.vni;
      if (this.hasRoomFor(state, network, key)) this.table.reach(key, kind);
      else this.leftOutCount += 1;
    }
  }

  /** @param network of the key, if the host may know it */
  private hasRoomFor(state: Inventory, network: Network | undefined, key: BindingKey): boolean {
    if (!network) {
      this.foreign += 1;
      return this.foreign <= maxForeign;
    }
    if (isBound(state, network, key)) return true;
    const count = (this.unknown.get(key.vni) ?? 0) + 1;
    this.unknown.set(key.vni, count);
    return count <= maxUnknownPerHostAndNetwork;
  }
}
