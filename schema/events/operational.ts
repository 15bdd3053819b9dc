// Operational events: findings of agents, and what the controller itself notes about hosts and moves. They are not inventory and
// have no revision. On the event stream they are marked as operational, have a sequence within one run of the controller, and
// are never replayed.
import type { Vni } from "../address/index.ts";
import {
  type ConditionKind,
  conditionKinds,
  type EventfulConditionKind,
  findingKinds,
  type HostConditionKind,
} from "../agent/index.ts";

/** Events that the controller itself reports about a host. */
export const presenceKinds = ["host-connected", "host-lost"] as const;
/** The outcome of a move, whether a client waited for it or not. */
const moveKinds = ["move-confirmed", "move-unconfirmed"] as const;
/** Conditions that the controller finds by itself. Conditions begin with an event of their kind, and end with `condition-ended`. */
const seenKinds = [
  "host-refused",
  "vtep-mismatch",
  "down-but-connected",
  "unknown-problem",
  "address-frozen",
  "address-disputed",
] as const;
export type OperationalKind =
  | (typeof findingKinds)[number]
  | EventfulConditionKind
  | (typeof presenceKinds)[number]
  | (typeof moveKinds)[number]
  | "condition-ended";
export const operationalKinds: readonly OperationalKind[] = [
  ...new Set<OperationalKind>([
    ...findingKinds,
    ...(Object.keys(conditionKinds) as HostConditionKind[]),
    ...seenKinds,
    "condition-ended",
    ...presenceKinds,
    ...moveKinds,
  ]),
];

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
  /** Name of the VM that it is about. */
  readonly vm?: string;
  /** Kind of the condition that began or ended. */
  readonly condition?: ConditionKind;
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
