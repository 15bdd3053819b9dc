// Which hosts need a push when a binding changes. Interest is stored by host, not by connection: the kernel of a host
// whose agent is disconnected keeps forwarding with its entries.
import {
  type Answer,
  type BindingKey,
  findMacOfKey,
  keyText,
  type MacAddress,
  type Vni,
} from "../../schema/address/index.ts";
import { maxUnknownPerHostAndNetwork } from "../../schema/agent/index.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import { TwoLevelMap } from "../inventory/two-level-map.ts";

/** Keys of one network that a host holds. */
interface Held {
  readonly keys: Set<string>;
  readonly unknown: Set<string>;
}

export class InterestIndex {
  private readonly holders = new Map<string, Set<string>>();
  private readonly held = new TwoLevelMap<string, Vni, Held>();
  private readonly overflown = new TwoLevelMap<Vni, string, true>();
  private readonly declared = new Set<string>();
  private keyCount = 0;

  constructor(private readonly maxUnknown = maxUnknownPerHostAndNetwork) {}

  /** Keys held, summed over hosts. */
  get size(): number {
    return this.keyCount;
  }

  holdersOf(key: BindingKey): Iterable<string> {
    return this.holders.get(keyText(key)) ?? [];
  }

  /** Whether the host has the answer to `key` and gets its changes. */
  knows(host: string, key: BindingKey): boolean {
    const held = this.held.get(host, key.vni);
    const text = keyText(key);
    return held?.keys.has(text) === true && !held.unknown.has(text);
  }

  /** MACs whose tunnel endpoint the host knows. */
  *macsKnownTo(host: string, vni: Vni): Generator<MacAddress> {
    const held = this.held.get(host, vni);
    for (const text of held?.keys ?? []) {
      const mac = findMacOfKey(text);
      if (mac !== undefined && !held?.unknown.has(text)) yield mac;
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
    const text = keyText(key);
    const held = this.held.get(host, key.vni) ?? this.newHeld(host, key.vni);
    if (known || held.unknown.has(text)) {
      if (known) held.unknown.delete(text);
      this.add(host, held, text);
    } else if (held.unknown.size < this.maxUnknown) {
      held.unknown.add(text);
      this.add(host, held, text);
    } else {
      const promised = held.keys.has(text) || asked;
      this.drop(host, held, text);
      if (promised) {
        this.overflown.set(key.vni, host, true);
      }
    }
  }

  /** The host no longer holds `key`: it gets no more pushes for it. */
  release(host: string, key: BindingKey): void {
    const held = this.held.get(host, key.vni);
    if (!held) return;
    const text = keyText(key);
    held.unknown.delete(text);
    this.drop(host, held, text);
  }

  /** The host's last VM left the network: its keys there are void. */
  revoke(host: string, vni: Vni): void {
    const held = this.held.get(host, vni);
    if (!held) return;
    for (const text of held.keys) this.drop(host, held, text);
    this.overflown.delete(vni, host);
    this.held.delete(host, vni);
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
    for (const [vni, held] of [...this.held.under(host)]) {
      for (const text of held.keys) {
        yield;
        held.unknown.delete(text);
        this.drop(host, held, text);
      }
      this.revoke(host, vni);
    }
  }

  private newHeld(host: string, vni: Vni): Held {
    const held: Held = { keys: new Set(), unknown: new Set() };
    this.held.set(host, vni, held);
    return held;
  }

  private add(host: string, held: Held, text: string): void {
    if (held.keys.has(text)) return;
    held.keys.add(text);
    this.keyCount += 1;
    const hosts = this.holders.get(text);
    if (hosts) hosts.add(host);
    else this.holders.set(text, new Set([host]));
  }

  private drop(host: string, held: Held, text: string): void {
    if (!held.keys.delete(text)) return;
    this.keyCount -= 1;
    const hosts = this.holders.get(text);
    if (hosts?.delete(host) && hosts.size === 0) this.holders.delete(text);
  }
}
