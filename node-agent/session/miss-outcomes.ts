// Outcomes of misses: kept for the status report, and logged.
import type { Logger } from "pino";
import { defined } from "../../common/defined.ts";
import { type Answer, type Binding, keyText } from "../../schema/address/index.ts";
import { missKey } from "../misses/miss.ts";
import { type FinishedMiss, RecentMisses } from "../misses/recent.ts";
import { describeTimeline, type Timeline } from "../misses/timeline.ts";
import { TimesOfMisses } from "../misses/times.ts";
import type { Programmed } from "../networks/entry-writer.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";

export class MissOutcomes {
  readonly recent = new RecentMisses();
  /** For the controller. */
  readonly times = new TimesOfMisses();
  private readonly listeners = new Set<(miss: FinishedMiss) => void>();

  constructor(
    private readonly registered: Pick<RegisteredNetworks, "nameOf">,
    private readonly log: Logger,
  ) {}

  /** Called at the end of each miss, from now on. */
  subscribe(listener: (miss: FinishedMiss) => void): void {
    this.listeners.add(listener);
  }

  /** These misses end with these answers, taken since `startMs`. */
  answered(
    timelines: readonly Timeline[],
    answers: readonly Answer[],
    startMs: number,
    programmed: Promise<Programmed>,
  ): void {
    if (timelines.length === 0) return;
    const bindings = new Map(answers.map((answer) => [keyText(answer.key), answer.binding]));
    for (const timeline of timelines) {
      void this.finish(timeline, bindings.get(keyText(missKey(timeline.miss))) ?? undefined, startMs, programmed);
    }
  }

  /** Answered by whole networks in memory, since `startMs`; nothing is registered for `unknown`. */
  answeredHere(
    timelines: readonly Timeline[],
    unknown: readonly Timeline[],
    answers: readonly Answer[],
    startMs: number,
    programmed: Promise<Programmed>,
  ): void {
    for (const timeline of unknown) this.note({ ...timeline, outcome: "unknown" });
    const bindings = new Map(answers.map((answer) => [keyText(answer.key), answer.binding]));
    for (const timeline of timelines) {
      const binding = bindings.get(keyText(missKey(timeline.miss))) ?? undefined;
      void this.finish(timeline, binding, startMs, programmed, "from replica");
    }
  }

  /** The kernel had lost held entries, which are written again. */
  answeredFromMemory(timelines: readonly Timeline[], programmedMs: number): void {
    for (const timeline of timelines) this.note({ ...timeline, outcome: "from memory", programmedMs });
  }

  private note(miss: FinishedMiss): void {
    this.recent.push(miss);
    if (miss.programmedMs !== undefined) this.times.add(miss.programmedMs - miss.missedMs);
    for (const listener of this.listeners) listener(miss);
  }

  private async finish(
    timeline: Timeline,
    binding: Binding | undefined,
    startMs: number,
    programmed: Promise<Programmed>,
    outcome: FinishedMiss["outcome"] = binding ? "answered" : "unknown",
  ): Promise<void> {
    const key = missKey(timeline.miss);
    const { writtenMs: writtenHereMs, announced } = await programmed;
    const announcedHereMs = await announced.get(keyText(key));
    const { writtenMs = writtenHereMs, repliedMs: announcedMs = announcedHereMs } = timeline.byThread ?? {};
    this.note({
      ...timeline,
      outcome,
      ...(binding ? { programmedMs: writtenMs, mac: binding.mac, vtep: binding.vtep } : {}),
      ...defined({ announcedMs }),
    });
    if (!this.log.isLevelEnabled("debug")) return;
    const fields = {
      network: this.registered.nameOf(key.vni),
      ...describeTimeline(timeline, startMs, writtenMs, announcedMs),
    };
    if (binding) this.log.debug({ ...fields, mac: binding.mac, vtep: binding.vtep }, "miss answered");
    else this.log.debug(fields, "miss unknown");
  }
}
