// Which hosts must be told when a binding changes. Interest is kept by host, not by connection: the kernel of a host
// whose agent is away goes on forwarding by what it was told.
import {
  type BindingKey,
  findMacOfKey,
  keyText,
  type MacAddress,
  maxUnknownPerHostAndNetwork,
  type Vni,
} from "../../schema/index.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import { TwoLevelMap } from "../inventory/two-level-map.ts";

/** What one host holds of one network. */
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

  /** Whether the host was told what stands behind `key`, and is told of its changes. */
  knows(host: string, key: BindingKey): boolean {
    const held = this.held.get(host, key.vni);
    const text = keyText(key);
    return held?.keys.has(text) === true && !held.unknown.has(text);
  }

  /** The MACs behind which the host knows a tunnel end. */
  *macsKnownTo(host: string, vni: Vni): Generator<MacAddress> {
    const held = this.held.get(host, vni);
    for (const text of held?.keys ?? []) {
      const mac = findMacOfKey(text);
      if (mac !== undefined && !held?.unknown.has(text)) yield mac;
    }
  }

  /** Hosts that are told of every creation in the network. */
  overflownIn(vni: Vni): Iterable<string> {
    return this.overflown.under(vni).keys();
  }

  /**
   * The host was told of `key`. What it asked for is held in any case; a tombstone that it did not ask for only while
   * there is room, since missing that address later costs a question, not a wrong entry.
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

  /** The host holds `key` no longer: it need not be told. */
  release(host: string, key: BindingKey): void {
    const held = this.held.get(host, key.vni);
    if (!held) return;
    const text = keyText(key);
    held.unknown.delete(text);
    this.drop(host, held, text);
  }

  /** The host's last VM left the network: what it held there is void. */
  revoke(host: string, vni: Vni): void {
    const held = this.held.get(host, vni);
    if (!held) return;
    for (const text of held.keys) this.drop(host, held, text);
    this.overflown.delete(vni, host);
    this.held.delete(host, vni);
  }

  /** The host has said what it holds, all of it, and each key is held here. */
  markDeclared(host: string): void {
    this.declared.add(host);
  }

  /** Whether what the host holds is known. Not so after a start of the controller, until its agent has come back. */
  hasDeclared(host: string): boolean {
    return this.declared.has(host);
  }

  /** The host is gone. */
  forget(host: string): void {
    atOnce(this.forgetting(host));
  }

  /** As `forget`, for the host that says anew what it holds. Until `markDeclared` it is not known what that is. */
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
