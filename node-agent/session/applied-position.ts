// This host's position in the controller's log, and its report to the controller.
import { defined } from "../../common/defined.ts";
import { parseRevision, type Revision } from "../../schema/address/index.ts";
import type { Uplink } from "../controller-link/uplink.ts";
import type { ConditionReporter } from "../findings/condition-reporter.ts";
import type { TimesOfMisses } from "../misses/times.ts";
import type { HostNetworks } from "../networks/host-networks.ts";

/** Capacity of an `applied` frame. */
const maxProblems = 64;
const maxProblemLength = 512;

export interface AppliedPositionDependencies {
  readonly networks: Pick<HostNetworks, "retry" | "settled">;
  readonly conditions: Pick<ConditionReporter, "sentences">;
  readonly times: Pick<TimesOfMisses, "take">;
  readonly uplink: Pick<Uplink, "send">;
  /** Resolves when nothing is on its way to the kernel that another thread has begun before. */
  fence(): Promise<unknown> | undefined;
}

export class AppliedPosition {
  /** The store that the answers held are from; absent before the first session. */
  epoch: string | undefined;
  /** Position in its log. */
  asOf: Revision | undefined;
  /** The kernel has every change up to here; a new epoch resets it. */
  applied = parseRevision(0);

  /** Queries of an earlier session say nothing about the log of this one. */
  private session = 0;
  /** All pending acknowledgements. */
  private settling: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: AppliedPositionDependencies) {}

  /** `applied` needs a position. */
  get position(): { epoch?: string; asOf?: Revision; applied?: Revision } {
    const { epoch, asOf, applied } = this;
    return { ...defined({ epoch }), ...(asOf === undefined ? {} : { asOf, applied }) };
  }

  /**
   * A session with a controller whose log is at `revision`, which may be older than the applied position after a restored
   * backup.
   */
  begin(epoch: string, revision: Revision): void {
    if (this.epoch !== epoch || revision < this.applied) this.applied = parseRevision(0);
    this.epoch = epoch;
    this.session++;
  }

  /** A part of a later position: this confirms nothing, and the next acknowledgement waits for it. */
  follow(work: Promise<unknown>): void {
    this.settling = Promise.all([this.settling, work]);
  }

  /**
   * Reports to the controller that the kernel is at `asOf`, once it is. Unsettled networks are retried first. As long as the
   * kernel refuses, the revision stays, and the conditions say why. A position confirms all changes before it, so a heartbeat
   * does not overtake a change that is still being written.
   */
  acknowledge(asOf: Revision, work: Promise<unknown>): void {
    const { networks, conditions, times, uplink, fence } = this.deps;
    const { session } = this;
    this.asOf = asOf;
    this.settling = Promise.all([this.settling, work])
      .then(fence)
      .then(() => networks.retry())
      .then(() => {
        if (session !== this.session) return;
        if (networks.settled) this.applied = asOf;
        const problems = conditions.sentences.slice(0, maxProblems).map((text) => text.slice(0, maxProblemLength));
        const misses = times.take();
        uplink.send({ type: "applied", revision: this.applied, problems, ...(misses ? { misses } : {}) });
      });
  }
}
