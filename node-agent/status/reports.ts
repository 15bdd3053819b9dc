// Recent reports for the status.
import { defined } from "../../common/defined.ts";
import type { ReportKind, Vni } from "../../schema/index.ts";
import type { Reporter } from "../reports/reporter.ts";

export interface ReportedReport {
  readonly kind: ReportKind;
  /** Absent: it concerns the host. */
  readonly vni?: number;
  readonly network?: string | null;
  readonly subject?: string;
  readonly detail?: string;
  readonly count: number;
  readonly firstAgoMs: number;
  readonly lastAgoMs: number;
}

/** Most recent first. */
export function describeReports(
  reporter: Pick<Reporter, "list">,
  nameOf: (vni: Vni) => string | null,
  nowMs: number,
): ReportedReport[] {
  return reporter.list().map(({ kind, vni, subject, detail, count, firstMs, lastMs }) => ({
    kind,
    ...(vni === undefined ? {} : { vni, network: nameOf(vni) }),
    ...defined({ subject, detail }),
    count,
    firstAgoMs: Math.round(nowMs - firstMs),
    lastAgoMs: Math.round(nowMs - lastMs),
  }));
}
