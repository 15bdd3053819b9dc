// Which idempotency keys are known: what the committer asks before it decides. The outcomes are in the store.
import { type ReceiptHead, receiptLimits } from "./store/store.ts";

export class Receipts {
  /** In order of time. */
  private readonly byKey = new Map<string, ReceiptHead>();

  constructor(stored: readonly ReceiptHead[]) {
    for (const head of stored) this.byKey.set(head.key, head);
  }

  find(key: string, nowMs: number): ReceiptHead | undefined {
    const head = this.byKey.get(key);
    return head && nowMs - head.atMs <= receiptLimits.ageMs ? head : undefined;
  }

  /** The store has forgotten beyond the limits by then. */
  add({ key, fingerprint, atMs }: ReceiptHead): void {
    this.byKey.delete(key);
    this.byKey.set(key, { key, fingerprint, atMs });
    for (const [oldest, { atMs: oldMs }] of this.byKey) {
      if (this.byKey.size <= receiptLimits.count && atMs - oldMs <= receiptLimits.ageMs) return;
      this.byKey.delete(oldest);
    }
  }
}
