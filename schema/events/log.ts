// The log of changes as its readers see it: CloudEvents 1.0 in JSON (https://cloudevents.io), one per changed resource.
import type { Revision } from "../address/index.ts";
import type { Host, Network, Vm } from "../rest/index.ts";

export type ResourceKind = "network" | "host" | "vm";
export type ChangeVerb = "created" | "updated" | "deleted";

export interface ResourceOf {
  network: Network;
  host: Host;
  vm: Vm;
}

/** A resource before and after: created where `before` is null, deleted where `after` is null. */
export type ResourceChange = {
  [K in ResourceKind]: {
    readonly kind: K;
    readonly before: ResourceOf[K] | null;
    readonly after: ResourceOf[K] | null;
  };
}[ResourceKind];

/** Version of the `data` of change events. Readers bring older rows up to date. 2: labels and description. */
export const changeDataVersion = 2;

/** One row of the log. (revision, index) is its position: an atomic bulk is one revision with many indexes. */
export interface LoggedEvent {
  readonly revision: Revision;
  readonly index: number;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly dataVersion: number;
  readonly change: ResourceChange;
}

export interface CloudEvent {
  readonly specversion: "1.0";
  /** "<revision>.<index>", unique within `source`. */
  readonly id: string;
  /** Names the store by its epoch: revisions of different epochs are not comparable. */
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly dataschema: string;
  readonly revision: number;
  readonly index: number;
  readonly data: { readonly before: unknown; readonly after: unknown };
}

export function changeVerb(change: ResourceChange): ChangeVerb {
  if (change.before === null) return "created";
  return change.after === null ? "deleted" : "updated";
}

/** Such as `vm.updated vms/web-1`. */
export function describeChange(change: ResourceChange): string {
  const name = (change.after ?? change.before)?.name;
  return `${change.kind}.${changeVerb(change)} ${change.kind}s/${name}`;
}

export function toCloudEvent(event: LoggedEvent, epoch: string): CloudEvent {
  const { change } = event;
  const name = (change.after ?? change.before)?.name;
  const type = `nearmiss.${change.kind}.${changeVerb(change)}`;
  return {
    specversion: "1.0",
    id: `${event.revision}.${event.index}`,
    source: `/nearmiss/${epoch}`,
    type,
    subject: `${change.kind}s/${name}`,
    time: event.time,
    datacontenttype: "application/json",
    dataschema: `urn:nearmiss:event:${change.kind}:v${event.dataVersion}`,
    revision: event.revision,
    index: event.index,
    data: { before: change.before, after: change.after },
  };
}
