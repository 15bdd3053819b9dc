// Where this host stands in the controller's log, and the word of it to the controller.
import { type AgentFrame, type MissTimes, parseRevision, type Revision } from "../../schema/index.ts";
import type { HostNetworks } from "../networks/host-networks.ts";

/** What an `applied` frame has room for. */
const maxProblems = 64;
const maxProblemLength = 512;

export interface AppliedPositionDependencies {
  readonly networks: Pick<HostNetworks, "retry" | "settled" | "problems">;
  /** Of misses that have ended since it was called last. */
  takeTimes(): MissTimes | undefined;
  send(frame: AgentFrame): void;
}

export class AppliedPosition {
  /** The store that the answers held are from; absent before the first session. */
  epoch: string | undefined;
  /** How far its log has been followed. */
  asOf: Revision | undefined;
  /** The kernel holds every change up to here; with another epoch it begins anew. */
  applied = parseRevision(0);

  /** What an earlier session asked for says nothing about the log of this one. */
  private session = 0;
  /** All that was to be acknowledged so far. */
  private settling: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: AppliedPositionDependencies) {}

  /** `applied` makes sense beside a position only. */
  get position(): { epoch?: string; asOf?: Revision; applied?: Revision } {
    const { epoch, asOf, applied } = this;
    return { ...(epoch === undefined ? {} : { epoch }), ...(asOf === undefined ? {} : { asOf, applied }) };
  }

  /** A session with a controller whose log is at `revision`: it may be behind what was applied, after a restored backup. */
  begin(epoch: string, revision: Revision): void {
    if (this.epoch !== epoch || revision < this.applied) this.applied = parseRevision(0);
    this.epoch = epoch;
    this.session++;
  }

  /**
   * Tells the controller that the kernel is at `asOf`, once it is: what is unsettled is tried again first. As long as the
   * kernel refuses, the revision stays where it was, and the problems say why. A position vouches for all before it, so a
   * heartbeat does not overtake a change that is still being written.
   */
  acknowledge(asOf: Revision, work: Promise<unknown>): void {
    const { networks, takeTimes, send } = this.deps;
    const { session } = this;
    this.asOf = asOf;
    this.settling = Promise.all([this.settling, work])
      .then(() => networks.retry())
      .then(() => {
        if (session !== this.session) return;
        if (networks.settled) this.applied = asOf;
        const problems = networks.problems.slice(0, maxProblems).map((text) => text.slice(0, maxProblemLength));
        const misses = takeTimes();
        send({ type: "applied", revision: this.applied, problems, ...(misses ? { misses } : {}) });
      });
  }
}
