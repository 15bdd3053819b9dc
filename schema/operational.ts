// Operational events: findings of agents, and what the controller itself notes about hosts and moves. They are not inventory and
// have no revision. On the event stream they are marked as operational, have a sequence within one run of the controller, and
// are never replayed.
import { parseVni, type Vni } from "./address.ts";
import { type Static, Type } from "./typebox.ts";

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

/** Events that the controller itself reports about a host. */
export const presenceKinds = ["host-connected", "host-lost"] as const;
/** The outcome of a move, whether a client waited for it or not. */
const moveKinds = ["move-confirmed", "move-unconfirmed"] as const;
export const operationalKinds = [...findingKinds, ...presenceKinds, ...moveKinds] as const;
export type OperationalKind = (typeof operationalKinds)[number];

/** An agent's finding in a `report` frame: all occurrences of one kind and subject since its last report. */
export interface ReportedFinding {
  readonly kind: FindingKind;
  /** Absent: it concerns the host. */
  readonly vni?: Vni;
  /** The subject: an address, a cause. The controller shows known forms only (controller/agents/host-words.ts). */
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
/** A hundred years: longer durations are invalid. */
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

const isFindingKind = (kind: string): kind is FindingKind => (findingKinds as readonly string[]).includes(kind);

/** One operational event. */
export interface OperationalEvent {
  /** 1, 2, …: without gap as they happen in one run of the controller; of those that are kept some may be missing. */
  readonly sequence: number;
  readonly kind: OperationalKind;
  readonly host: string;
  /** Absent: it concerns the host. */
  readonly network?: string;
  readonly networkUid?: string;
  readonly vni?: Vni;
  readonly subject?: string;
  readonly detail?: string;
  readonly count: number;
  /** RFC 3339, UTC, by the controller's clock. */
  readonly first: string;
  readonly last: string;
}

/** Version of the `data` of operational events. */
const operationalDataVersion = 1;

/** Without `revision` and `index`, which only changes have. */
export interface OperationalCloudEvent {
  readonly specversion: "1.0";
  /** The sequence in digits: unique within `source`, which names store and run. */
  readonly id: string;
  readonly source: string;
  readonly type: `nearmiss.operational.${OperationalKind}`;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly dataschema: string;
  /** Marks it: a change never has this attribute. */
  readonly operational: true;
  /** Names the run of the controller: sequences of different runs are not comparable. */
  readonly run: string;
  /** As required by CloudEvents' sequence extension: of equal length, so that text order is the order. */
  readonly sequence: string;
  readonly data: Omit<OperationalEvent, "sequence" | "kind">;
}

/** CloudEvents type of an operational event. */
export function operationalType<K extends OperationalKind>(kind: K): `nearmiss.operational.${K}` {
  return `nearmiss.operational.${kind}`;
}

export function toOperationalCloudEvent(event: OperationalEvent, epoch: string, run: string): OperationalCloudEvent {
  const { sequence, kind, ...data } = event;
  return {
    specversion: "1.0",
    id: String(sequence),
    source: `/nearmiss/${epoch}/operational/${run}`,
    type: operationalType(kind),
    subject: `hosts/${event.host}`,
    time: event.last,
    datacontenttype: "application/json",
    dataschema: `urn:nearmiss:event:operational:v${operationalDataVersion}`,
    operational: true,
    run,
    sequence: String(sequence).padStart(16, "0"),
    data,
  };
}
