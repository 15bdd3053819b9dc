// The steps of one miss.
import { toThousandths } from "../../common/round.ts";
import { addressOf, type Vni } from "../../schema/address/index.ts";
import { type Miss, missKey, type ThreadAnswer } from "./miss.ts";

/** When the steps of a miss happened, in ms of the agent's monotonic clock. */
export interface Timeline {
  readonly miss: Miss;
  /** Read from the kernel. */
  readonly missedMs: number;
  readonly askedMs?: number;
  readonly answeredMs?: number;
  /** The thread for networks in memory has answered it. */
  readonly byThread?: ThreadAnswer;
}

export interface TimelineReport {
  readonly kind: Miss["kind"];
  readonly vni: Vni;
  readonly key: string;
  /** Question sent → answer read. */
  readonly askMs: number;
  /** Answer read → acknowledged by the kernel. */
  readonly programMs: number;
  /** Acknowledged by the kernel → sent to the waiting guests; absent if no guest waited. */
  readonly announceMs?: number;
  /** Miss read → acknowledged by the kernel. */
  readonly totalMs: number;
}

export function describeTimeline(
  timeline: Timeline,
  startMs: number,
  writtenMs: number,
  announcedMs?: number,
): TimelineReport {
  const { miss, missedMs, askedMs = missedMs, answeredMs = startMs } = timeline;
  return {
    kind: miss.kind,
    vni: miss.vni,
    key: addressOf(missKey(miss)),
    askMs: toThousandths(answeredMs - askedMs),
    programMs: toThousandths(writtenMs - startMs),
    ...(announcedMs === undefined ? {} : { announceMs: toThousandths(announcedMs - writtenMs) }),
    totalMs: toThousandths(writtenMs - missedMs),
  };
}
