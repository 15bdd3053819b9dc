// Sends snapshots frame by frame, to few hosts at once, and no faster than each host reads. A host that declares a million
// keys, or reads slowly, costs other hosts one turn per frame and the controller a window of bytes.
import { TurnQueue } from "../../common/cooperative.ts";
import type { Answer, BindingKey, Revision } from "../../schema/address/index.ts";
import { agentNetwork, answerFor, keysOfVm } from "../inventory/bindings.ts";
import { knownNetworks } from "../inventory/known-networks.ts";
import { preparedOn } from "../inventory/prepared-guests.ts";
import type { Committer } from "../write/committer.ts";
import type { Declaration, DeclaredKey } from "./declaration.ts";
import { HostTables, tablesWanted } from "./host-table.ts";
import type { InterestIndex } from "./interest.ts";
import type { AgentSession } from "./session.ts";

/** Maximum number of concurrent snapshots, so that those of a whole fleet are made one after the other. */
const maxUnderWay = 8;
/** Maximum time that they block the event loop, ms. */
const sliceMs = 2;

export interface SnapshotsDeps {
  readonly committer: Pick<Committer, "current" | "revision">;
  readonly epoch: string;
  readonly interests: InterestIndex;
}

export class Snapshots {
  private readonly turns = new TurnQueue(sliceMs);
  private readonly places = new Places(maxUnderWay);
  private readonly tables = new HostTables();

  constructor(private readonly deps: SnapshotsDeps) {}

  /**
   * All state that concerns the host, and the current answer to each key that it declared, unless it has that. Changes during the
   * snapshot follow it: the session buffers them.
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
      await this.turns.run(interests.forgetting(host));
      if (!session.isOpen) return;
      const { current, revision } = committer;
      const since = this.positionOf(session, declaration);
      const answers = this.answers(host, declaration, since, answer);
      const networks = knownNetworks(current, host).map(agentNetwork);
      const prepared = [...preparedOn(current, host)];
      const wanted = tablesWanted(session.hello);
      const tables = this.tables.of(current, revision, host, (_, network) => wanted(network));
      const frames = concat(
        tables.map((part) => session.writer.table(revision, part, host)),
        session.writer.snapshot(revision, { networks, answers, prepared }, since),
      );
      await session.sendSnapshot(this.paced(session, frames));
      if (session.isOpen) interests.markDeclared(host);
    } finally {
      this.places.give();
    }
  }

  /** Sends each frame in its turn. While a host does not read, another one gets its place. */
  private async *paced(
    session: AgentSession,
    frames: Iterable<string | undefined>,
  ): AsyncGenerator<string, void, void> {
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
      if (next.value !== undefined) yield next.value;
    }
  }

  /**
   * Up to where the host has what it declares as held; undefined: it is sent everything. A host that declares more than it may is
   * not told which keys are left out: it forgets those that are not answered.
   */
  private positionOf({ hello, resumes }: AgentSession, { leftOut }: Declaration): Revision | undefined {
    const { epoch, committer } = this.deps;
    if (!resumes || leftOut > 0 || hello?.asOf === undefined) return undefined;
    return hello.epoch === epoch && hello.asOf <= committer.revision ? hello.asOf : undefined;
  }

  /** Undefined in place of each answer that the host has. */
  private *answers(
    host: string,
    declaration: Declaration,
    since: Revision | undefined,
    answer: (key: BindingKey) => Answer,
  ): Generator<Answer | undefined> {
    const { committer } = this.deps;
    for (const name of [...committer.current.vmsOn(host).keys()]) {
      // A VM that has gone from the host since is in a push, which follows.
      const vm = committer.current.findVm(name);
      for (const key of vm?.host === host ? keysOfVm(committer.current, vm) : []) {
        if (!declaration.has(key)) yield answerFor(committer.current, host, key, committer.revision);
      }
    }
    for (const declared of declaration.keys()) {
      const current = answer(declared.key);
      yield since !== undefined && hasStill(declared, current, since) ? undefined : current;
    }
  }
}

/** Whether the answer is the one that the host had at `since`. The revision of a binding is that of its last change. */
function hasStill({ held }: DeclaredKey, { binding, revision }: Answer, since: Revision): boolean {
  return binding ? held === "binding" && revision <= since : held === "tombstone";
}

function* concat<T>(...lists: readonly Iterable<T>[]): Generator<T, void, void> {
  for (const list of lists) yield* list;
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
