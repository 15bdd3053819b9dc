// Recent reports for the status.
import { defined } from "../../common/defined.ts";
import type { Vni } from "../../schema/address/index.ts";
import type { FindingKind } from "../../schema/agent/index.ts";
import type { Reporter } from "../findings/reporter.ts";

export interface DescribedFinding {
  readonly kind: FindingKind;
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
export function describeFindings(
  reporter: Pick<Reporter, "list">,
  nameOf: (vni: Vni) => string | null,
  nowMs: number,
): DescribedFinding[] {
  return reporter.list().map(({ kind, vni, subject, detail, count, firstMs, lastMs }) => ({
    kind,
    ...(vni === undefined ? {} : { vni, network: nameOf(vni) }),
    ...defined({ subject, detail }),
    count,
    firstAgoMs: Math.round(nowMs - firstMs),
    lastAgoMs: Math.round(nowMs - lastMs),
  }));
}
