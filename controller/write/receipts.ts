// Known idempotency keys, which the committer checks before it decides. The outcomes are in the store.
import { type ReceiptHead, receiptLimits } from "../store/store.ts";

/** Whose key it is: keys begin with the caller, and the part that callers choose has no space (`receiptOf`). */
function callerOf(key: string): string {
  return key.slice(0, key.lastIndexOf(" "));
}

/**
 * Beyond the limit, the caller with the most keys loses its oldest: a caller that sends many keys evicts its own, never those
 * of a caller with fewer. A single caller may use all the room.
 */
export class Receipts {
  /** In order of time. */
  private readonly byKey = new Map<string, ReceiptHead>();
  /** By caller, its keys in order of time. */
  private readonly byCaller = new Map<string, Set<string>>();
  private evicted: string[] = [];

  constructor(
    stored: readonly ReceiptHead[],
    private readonly limits: { readonly ageMs: number; readonly count: number } = receiptLimits,
  ) {
    this.read(stored);
  }

  /** Another writer may have added some: these are all that the store has now, in order of time. */
  reload(stored: readonly ReceiptHead[]): void {
    this.byKey.clear();
    this.byCaller.clear();
    this.read(stored);
  }

  find(key: string, nowMs: number): ReceiptHead | undefined {
    const head = this.byKey.get(key);
    return head && nowMs - head.atMs <= this.limits.ageMs ? head : undefined;
  }

  add({ key, fingerprint, atMs }: ReceiptHead): void {
    this.insert({ key, fingerprint, atMs });
    for (const [oldest, { atMs: oldMs }] of this.byKey) {
      if (atMs - oldMs <= this.limits.ageMs) break;
      this.forget(oldest);
    }
    while (this.byKey.size > this.limits.count) this.evict();
  }

  /** Keys that are removed here and maybe not yet in the store: the next commit removes them there too. */
  takeEvicted(): readonly string[] {
    const taken = this.evicted;
    this.evicted = [];
    return taken;
  }

  /** The store has not processed it. */
  putBack(evicted: readonly string[]): void {
    this.evicted = [...evicted, ...this.evicted];
  }

  private read(stored: readonly ReceiptHead[]): void {
    for (const head of stored) this.insert(head);
    while (this.byKey.size > this.limits.count) this.evict();
  }

  private insert(head: ReceiptHead): void {
    this.forget(head.key);
    this.byKey.set(head.key, head);
    const caller = callerOf(head.key);
    const keys = this.byCaller.get(caller);
    if (keys) keys.add(head.key);
    else this.byCaller.set(caller, new Set([head.key]));
  }

  private forget(key: string): void {
    const caller = callerOf(key);
    const keys = this.byCaller.get(caller);
    this.byKey.delete(key);
    if (keys?.delete(key) && keys.size === 0) this.byCaller.delete(caller);
  }

  private evict(): void {
    let most: ReadonlySet<string> = new Set();
    for (const keys of this.byCaller.values()) if (keys.size > most.size) most = keys;
    const [oldest] = most;
    if (oldest === undefined) throw new Error("receipts without callers");
    this.forget(oldest);
    this.evicted.push(oldest);
  }
}
