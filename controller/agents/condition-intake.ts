// Where conditions of hosts come in: as frames of their agents, as sentences of agents of version 1, and from what the controller sees of
// their sessions. conditions.ts says what of it is so at present.
import { every, type Repetition } from "../../common/every.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { mayKnow } from "../inventory/known-networks.ts";
import type { Committer } from "../write/committer.ts";
import { findMismatch, type Hello } from "./admission.ts";
import { Conditions, type ConditionsDeps, type SeenCondition } from "./conditions.ts";
import { HostConditions } from "./host-conditions.ts";
import { conditionIn } from "./host-words.ts";
import { type Refusal, RefusedAgents } from "./refused-agents.ts";

/** Certificates are renewed hours or months before their end. */
const endingsEveryMs = 60_000;

/** Hosts whose certificate ends soon. */
export interface Endings {
  findEnding(uid: string): { readonly expiresMs: number } | undefined;
  listEnding(): readonly { readonly host: string }[];
}

export interface ConditionIntakeDeps extends Omit<ConditionsDeps, "reported" | "current" | "seen"> {
  readonly committer: Pick<Committer, "current">;
  /** Absent: without TLS. */
  readonly endings?: Endings | undefined;
  /** Of addresses of VMs on the host. */
  readonly addressesOn: (host: string) => readonly SeenCondition[];
  /** Of the connected agent. */
  readonly helloOf: (host: string) => Hello | undefined;
}

export class ConditionIntake {
  readonly present: Conditions;
  private readonly reported = new HostConditions();
  private readonly refused = new RefusedAgents();
  /** Hosts with a problem that this controller does not know. */
  private readonly unknownProblems = new Set<string>();
  private readonly timer: Repetition;

  constructor(private readonly deps: ConditionIntakeDeps) {
    this.present = new Conditions({
      ...deps,
      reported: this.reported,
      current: () => deps.committer.current,
      seen: (host) => this.seenOf(host),
    });
    const look = (): void => {
      for (const { host } of deps.endings?.listEnding() ?? []) this.present.update(host);
    };
    this.timer = every(endingsEveryMs, look);
  }

  stop(): void {
    this.timer.stop();
    this.present.stop();
  }

  /** The agent of the host sent its conditions at that time, in this session. */
  covers(host: string, agoMs: number): boolean {
    return this.reported.covers(host, this.deps.nowMs() - agoMs);
  }

  /** A session has begun. @param key of its agent */
  begin(host: string, key?: string): void {
    for (const other of this.refused.accepted(host, key)) if (other !== host) this.present.update(other);
    this.reported.begin(host, this.deps.nowMs());
    this.unknownProblems.delete(host);
    this.present.update(host);
  }

  frame(host: string, frame: Extract<AgentFrame, { type: "conditions" }>): void {
    this.reported.take(host, frame, this.deps.now(), this.deps.nowMs());
    this.present.update(host);
  }

  /** The whole list of an agent of version 1; empty of a later one. */
  sentences(host: string, texts: readonly string[]): void {
    const { current } = this.deps.committer;
    const find = (name: string) => (mayKnow(current, host, name) ? current.findNetwork(name) : undefined);
    const said = texts.map((text) => conditionIn(text, find));
    const known = said.flatMap((each) => each ?? []);
    if (known.length < said.length) this.unknownProblems.add(host);
    else this.unknownProblems.delete(host);
    this.reported.takeSaid(host, known, this.deps.now());
    this.present.update(host);
  }

  /** An agent of the host is refused. @returns whether that is new: worth a line in the log */
  refuse(host: string, refusal: Refusal): boolean {
    if (!this.deps.committer.current.findHost(host)) return true;
    const isNew = this.refused.note(host, refusal, this.deps.now(), this.deps.nowMs());
    this.present.update(host);
    return isNew;
  }

  /** The host is deleted. */
  forget(host: string): void {
    this.reported.forget(host);
    this.refused.forget(host);
    this.unknownProblems.delete(host);
    this.present.forget(host);
  }

  private seenOf(name: string): SeenCondition[] {
    const host = this.deps.committer.current.findHost(name);
    const hello = this.deps.helloOf(name);
    const ending = host && this.deps.endings?.findEnding(host.uid);
    const until = ending && new Date(ending.expiresMs).toISOString();
    const mismatch = host && hello && findMismatch(host, hello);
    const refused = this.refused.conditionOf(name, this.deps.nowMs());
    return [
      ...(refused ? [refused] : []),
      ...(until === undefined
        ? []
        : [{ kind: "host-certificate-ending", reason: "ending", values: { until } } as const]),
      ...(mismatch ? [{ kind: "vtep-mismatch", reason: "differs", values: mismatch } as const] : []),
      ...(host?.down && hello ? [{ kind: "down-but-connected", reason: "connected", values: {} } as const] : []),
      ...this.deps.addressesOn(name),
      ...(this.unknownProblems.has(name) ? [{ kind: "unknown-problem", reason: "unknown", values: {} } as const] : []),
    ];
  }
}
