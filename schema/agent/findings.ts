// What agents report of their hosts: findings, in the frame `report`. The controller publishes them as operational events.
import { parseVni, type Vni } from "../address/index.ts";
import { type Static, Type } from "../typebox.ts";

/** What an agent can find on its host; docs/events.md describes each. */
export const findingKinds = [
  "scan",
  "drift-repaired",
  "overrun",
  "table-full",
  "room-short",
  "theft",
  "unregistered-guest",
  "guest-never-seen",
  "address-conflict",
  "network-not-ready",
  "vtep-missing",
  "mtu-too-large",
  "second-device",
  "host-filter",
  "spoofed",
  "stranger",
  "mac-flood",
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** An agent's finding in a `report` frame: all occurrences of one kind and subject since its last report. */
export interface ReportedFinding {
  readonly kind: FindingKind;
  /** Absent: it concerns the host. */
  readonly vni?: Vni;
  /** Whom or what it is about: an address, a cause. The controller shows what it knows (controller/agents/host-words.ts). */
  readonly subject?: string;
  /** A sentence of the controller's table with this host's values; another is not shown. */
  readonly detail?: string;
  /** Number of occurrences. */
  readonly count: number;
  /** Whole ms before the frame was sent: hosts' clocks differ, so only the controller's counts. */
  readonly firstAgoMs: number;
  readonly lastAgoMs: number;
}

/** Maximum in one `report` frame. */
export const maxFindingsPerFrame = 32;
export const maxSubjectLength = 64;
/** Enough for a problem with the commands that fix it; a frame of reports stays well below 64 KiB. */
export const maxDetailLength = 512;
/** A hundred years: what is longer is no duration. */
const maxAgoMs = 3_155_760_000_000;

const WireFinding = Type.Object({
  kind: Type.String({ maxLength: 64 }),
  vni: Type.Optional(Type.Integer()),
  subject: Type.Optional(Type.String({ maxLength: maxSubjectLength })),
  detail: Type.Optional(Type.String({ maxLength: maxDetailLength })),
  count: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  firstAgoMs: Type.Integer({ minimum: 0, maximum: maxAgoMs }),
  lastAgoMs: Type.Integer({ minimum: 0, maximum: maxAgoMs }),
});

export const WireFindings = Type.Object({ reports: Type.Array(WireFinding, { maxItems: maxFindingsPerFrame }) });

/** Leaves out kinds that a newer agent knows. @throws AddressError */
export function parseFindings({ reports }: Static<typeof WireFindings>): ReportedFinding[] {
  return reports.flatMap(({ kind, vni, subject, detail, count, firstAgoMs, lastAgoMs }) => {
    if (!isFindingKind(kind)) return [];
    return [
      {
        kind,
        ...(vni === undefined ? {} : { vni: parseVni(vni) }),
        ...(subject === undefined ? {} : { subject }),
        ...(detail === undefined ? {} : { detail }),
        count,
        firstAgoMs: Math.max(firstAgoMs, lastAgoMs),
        lastAgoMs,
      },
    ];
  });
}

export const isFindingKind = (kind: string): kind is FindingKind => (findingKinds as readonly string[]).includes(kind);
