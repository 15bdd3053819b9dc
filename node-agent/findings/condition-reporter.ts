// Keeps the controller informed of this host's conditions: the whole set at the start of a session, then differences.
// condition-set.ts decides what is sent.
import { every, type Repetition } from "../../common/every.ts";
import { type AgentFrame, allConditionKinds, type ConditionName } from "../../schema/agent/index.ts";
import type { ConditionSource, HostCondition } from "./condition.ts";
import { ConditionSet } from "./condition-set.ts";

/** A condition whose beginning no message of the kernel shows is sent within this time. */
const everyMs = 1_000;
/** The first version of the protocol with conditions. */
const firstVersion = 2;

/** Conditions of guests, which are found by looking. */
export interface GuestSource extends ConditionSource {
  /** Reported by an earlier run, and neither confirmed nor refuted in this one. */
  readonly undecided: readonly ConditionName[];
  /** Looks at all guests now. */
  look(): Promise<void>;
}

export interface ConditionReporterDependencies {
  readonly uplink: { readonly isLive: boolean; send(frame: AgentFrame): void };
  readonly sources: readonly ConditionSource[];
  nowMs(): number;
}

export class ConditionReporter {
  private readonly set: ConditionSet;
  private readonly timer: Repetition;
  private guests: GuestSource | undefined;
  /** The controller takes conditions, and the first of the session may be sent. */
  private isOpen = false;
  private version = 1;
  private session = 0;
  private soon: NodeJS.Immediate | undefined;

  constructor(private readonly deps: ConditionReporterDependencies) {
    this.set = new ConditionSet(deps.nowMs());
    this.timer = every(everyMs, () => this.look(), { inStep: true });
  }

  attach(guests: GuestSource): void {
    this.guests = guests;
  }

  /** The present ones. */
  get list(): HostCondition[] {
    return [...this.deps.sources, ...(this.guests ? [this.guests] : [])].flatMap(({ conditions }) => conditions);
  }

  /** For a controller of version 1, as far as it knows them; empty for a later one, which takes conditions. */
  get sentences(): string[] {
    if (this.version >= firstVersion) return [];
    const former = this.list.filter(({ kind }) => !allConditionKinds[kind].isFinding);
    return [...new Set(former.map(({ says }) => says))];
  }

  /** A session has begun. */
  begin(protocol: number): void {
    this.version = protocol;
    this.session += 1;
    this.isOpen = false;
    this.set.forgetSent();
  }

  /** The session's networks are set up, so what is wrong now is not wrong for a moment only. */
  async start(): Promise<void> {
    const { session } = this;
    await this.guests?.look();
    if (session !== this.session || this.version < firstVersion) return;
    this.isOpen = true;
    this.look();
  }

  onClosed(): void {
    this.isOpen = false;
    this.session += 1;
    this.set.forgetSent();
  }

  /** Something changed: looks after all that is heard at the moment. */
  lookSoon(): void {
    this.soon ??= setImmediate(() => {
      this.soon = undefined;
      this.look();
    });
  }

  close(): void {
    this.timer.stop();
    clearImmediate(this.soon);
  }

  private look(): void {
    const { uplink, nowMs } = this.deps;
    this.set.follow(this.list, this.guests?.undecided ?? [], nowMs());
    if (!this.isOpen || !uplink.isLive) return;
    for (const frame of this.set.takeFrames(nowMs())) uplink.send(frame);
  }
}
