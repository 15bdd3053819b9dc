// The sets of one revision, one for each host: host tables first, then `changes`, of which a large revision sends parts before the last.
import type { Revision } from "../../schema/address/index.ts";
import type { Steps } from "../inventory/steps.ts";
import type { Metrics } from "../metrics.ts";
import type { Push } from "./fan-out.ts";
import type { TablePart } from "./host-table.ts";
import type { AgentSession } from "./session.ts";

export interface PushSetsDeps {
  readonly revision: Revision;
  readonly sessions: ReadonlyMap<string, AgentSession>;
  readonly tables: ReadonlyMap<string, readonly TablePart[]>;
  readonly metrics: Pick<Metrics, "pushed">;
  readonly isLarge: boolean;
  /** Called before the first frame of the host. */
  readonly beforeFirst: (session: AgentSession) => void;
}

/** A set that has begun. A session that has begun another snapshot since has all of the revision in that. */
interface Begun {
  readonly session: AgentSession;
  readonly snapshots: number;
}

export class PushSets {
  private readonly begun = new Map<string, Begun | undefined>();

  constructor(private readonly deps: PushSetsDeps) {}

  /** Hosts with sets that have begun: each needs its last part. */
  get open(): Iterable<string> {
    return this.begun.keys();
  }

  part(host: string, push: Push): void {
    const { revision } = this.deps;
    const session = this.sessionFor(host);
    const head = this.begun.has(host) ? [] : this.begin(host, session);
    if (!session) return;
    this.send(session, [...head, ...session.writer.changes(revision, push, true)]);
    this.deps.metrics.pushed(push.answers.length);
  }

  *last(host: string, push: Push): Steps<void> {
    const session = this.sessionFor(host);
    if (!session) return;
    const frames = this.begun.has(host) ? [] : this.tableFrames(session, host);
    for (const frame of session.writer.changes(this.deps.revision, push)) {
      frames.push(frame);
      yield;
    }
    // In a large revision it may have ended, or begun another declaration.
    if (this.sessionFor(host) !== session) return;
    if (!this.begun.has(host)) this.deps.beforeFirst(session);
    // In one turn: frames of one set must not be separated by a snapshot.
    this.send(session, frames);
    this.deps.metrics.pushed(push.answers.length);
  }

  /** For a host without changes. */
  tableAlone(host: string): void {
    const session = this.deps.sessions.get(host);
    if (session?.isSynced) session.send(this.tableFrames(session, host));
  }

  private begin(host: string, session: AgentSession | undefined): string[] {
    this.begun.set(host, session && { session, snapshots: session.snapshots });
    if (!session) return [];
    this.deps.beforeFirst(session);
    return this.tableFrames(session, host);
  }

  /** Undefined where there is none, or where what was begun is in a snapshot. */
  private sessionFor(host: string): AgentSession | undefined {
    const session = this.deps.sessions.get(host);
    if (!session?.isSynced) return undefined;
    if (!this.begun.has(host)) return session;
    const begun = this.begun.get(host);
    return begun?.session === session && begun.snapshots === session.snapshots ? session : undefined;
  }

  private tableFrames(session: AgentSession, host: string): string[] {
    const { revision, tables } = this.deps;
    return (tables.get(host) ?? []).flatMap((part) => session.writer.table(revision, part, host) ?? []);
  }

  private send(session: AgentSession, frames: readonly string[]): void {
    if (this.deps.isLarge) session.sendLarge(frames);
    else session.send(frames);
  }
}
