// Ends the host's interest in keys, and tracks the keys whose release the controller has not confirmed yet. A frame that
// was in flight during the release may contain such a key. The agent must not cache it: the host has no interest in the
// key any more, so the controller would not notify it of changes.
//
// The channel is ordered, and the controller confirms a release in the same turn in which it ends the interest. So frames
// before the confirmation may be older than the release; frames after it are not.
import { type Answer, type BindingKey, keyText } from "../../schema/address/index.ts";
import { chunk } from "../../schema/agent/index.ts";
import type { Uplink } from "./uplink.ts";

export class Releases {
  /** By key, the id of its last release. */
  private readonly open = new Map<string, number>();
  /** In the order of their ids. */
  private readonly waiting: { readonly id: number; readonly texts: readonly string[] }[] = [];

  /** @param uplink drops frames without a session, and the next one begins with the addresses that are cached then */
  constructor(private readonly uplink: Pick<Uplink, "send" | "nextId">) {}

  /** Keys whose release is not confirmed yet. */
  get size(): number {
    return this.open.size;
  }

  release(keys: readonly BindingKey[]): void {
    if (keys.length === 0) return;
    for (const part of chunk(keys)) {
      const id = this.uplink.nextId();
      if (!this.uplink.send({ type: "release", id, keys: part })) return;
      const texts = part.map(keyText);
      for (const text of texts) this.open.set(text, id);
      this.waiting.push({ id, texts });
    }
  }

  /** Query or release `id` is answered, and so is every release before it. */
  confirmed(id: number): void {
    for (let first = this.waiting[0]; first && first.id <= id; first = this.waiting[0]) {
      this.waiting.shift();
      for (const text of first.texts) if (this.open.get(text) === first.id) this.open.delete(text);
    }
  }

  /** The answers that may be taken. */
  pass(answers: readonly Answer[]): readonly Answer[] {
    return this.open.size === 0 ? answers : answers.filter(({ key }) => !this.open.has(keyText(key)));
  }

  /** The session is over: the next one begins with the whole interest. */
  clear(): void {
    this.open.clear();
    this.waiting.length = 0;
  }
}
