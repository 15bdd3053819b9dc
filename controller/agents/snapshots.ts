// Sends snapshots frame by frame, to few hosts at once, and no faster than each host reads. A host that declares a million
// keys, or reads slowly, costs other hosts one turn per frame and the controller a window of bytes.
import { inSlices, TurnQueue } from "../../common/cooperative.ts";
import type { AgentNetwork, Answer, BindingKey, Revision } from "../../schema/address/index.ts";
import { agentNetwork, answerFor, keysOfVm } from "../inventory/bindings.ts";
import type { Committer } from "../write/committer.ts";
import type { Declaration } from "./declaration.ts";
import { frameText, snapshotFrames } from "./frames.ts";
import type { InterestIndex } from "./interest.ts";
import { sendersOf } from "./senders.ts";
import type { AgentSession } from "./session.ts";

/** Maximum number of concurrent snapshots, so that those of a whole fleet are made one after the other. */
const maxUnderWay = 8;
/** Maximum time that they block the event loop, ms. */
const sliceMs = 2;

export interface SnapshotsDeps {
  readonly committer: Committer;
  readonly interests: InterestIndex;
}

export class Snapshots {
  private readonly turns = new TurnQueue(sliceMs);
  private readonly places = new Places(maxUnderWay);

  constructor(private readonly deps: SnapshotsDeps) {}

  /**
   * All state that concerns the host, and the current answer to each key that it declared. Changes during the snapshot
   * follow it: the session buffers them.
   * @param answer remembers the host's interest
   */
  async send(
    session: AgentSession,
    host: string,
    declaration: Declaration,
    answer: (key: BindingKey) => Answer,
  ): Promise<void> {
    const { committer, interests } = this.deps;
    await this.places.take();
    try {
      await inSlices(interests.forgetting(host));
      if (!session.isOpen) return;
      const { current, revision } = committer;
      const networks = [...current.networksOn(host).keys()].flatMap((name) => current.findNetwork(name) ?? []);
      const senders = session.hello?.senders ? sendersOf(current, host, revision).map(frameText) : [];
      const answers = this.answers(host, declaration, answer);
      const frames = framesOf(senders, revision, networks.map(agentNetwork), answers);
      await session.sendSnapshot(this.paced(session, frames));
      if (session.isOpen) interests.markDeclared(host);
    } finally {
      this.places.give();
    }
  }

  /** Sends each frame in its turn. While a host does not read, another one gets its place. */
  private async *paced(session: AgentSession, frames: Iterable<string>): AsyncGenerator<string, void, void> {
    const all = frames[Symbol.iterator]();
    for (;;) {
      const wait = session.findWait();
      if (wait) {
        this.places.give();
        await wait;
        await this.places.take();
      }
      await this.turns.take();
      // Another session of this host may have started its declaration.
      if (!session.isOpen) return;
      const next = all.next();
      if (next.done) return;
      yield next.value;
    }
  }

  private *answers(host: string, declaration: Declaration, answer: (key: BindingKey) => Answer): Generator<Answer> {
    const { committer } = this.deps;
    for (const name of [...committer.current.vmsOn(host).keys()]) {
      // A VM that has gone from the host since is in a push, which follows.
      const vm = committer.current.findVm(name);
      for (const key of vm?.host === host ? keysOfVm(committer.current, vm) : []) {
        if (!declaration.has(key)) yield answerFor(committer.current, host, key, committer.revision);
      }
    }
    for (const key of declaration.keys) yield answer(key);
  }
}

function* framesOf(
  senders: readonly string[],
  asOf: Revision,
  networks: readonly AgentNetwork[],
  answers: Iterable<Answer>,
): Generator<string, void, void> {
  yield* senders;
  yield* snapshotFrames(asOf, networks, answers);
}

/** A semaphore; waiting callers get their turn in order of arrival. */
class Places {
  private readonly waiting = new Set<() => void>();

  constructor(private free: number) {}

  async take(): Promise<void> {
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.waiting.add(resolve));
  }

  give(): void {
    const [first] = this.waiting;
    if (!first) {
      this.free += 1;
      return;
    }
    this.waiting.delete(first);
    first();
  }
}
