// Resources and events as rows. Stored data has passed the parsers, so it is not parsed again.
import type { Revision, Vni, VtepAddress } from "../../../schema/address/index.ts";
import {
  changeDataVersion,
  type LoggedEvent,
  type ResourceChange,
  type ResourceKind,
} from "../../../schema/events/index.ts";
import type { Host, Network, Vm } from "../../../schema/rest/index.ts";

interface ResourceRow {
  name: string;
  uid: string;
  revision: number;
  labels: string;
  description: string;
}
export interface NetworkRow extends ResourceRow {
  vni: number;
  subnets: string;
  mtu: number;
  /** The fields that a network may lack: parameters of address assignment, `knowledge` and what it means now, `broadcast`. */
  pool: string;
}
export interface HostRow extends ResourceRow {
  vtep: string;
  port: number;
  origin: Host["origin"];
  down: number;
}
export interface VmRow extends ResourceRow {
  host: string;
  prepared_host: string | null;
  interfaces: string;
  owner_networks: string | null;
}
export interface EventRow {
  revision: number;
  idx: number;
  time: string;
  kind: ResourceKind;
  name: string;
  data_version: number;
  data: string;
}

export function toNetworkRow(resource: Network): NetworkRow {
  const { gateways, reserved, quarantineSeconds, knowledge, knowledgeChosen, broadcast, ...network } = resource;
  return {
    ...network,
    subnets: JSON.stringify(network.subnets),
    labels: JSON.stringify(network.labels),
    pool: JSON.stringify({ gateways, reserved, quarantineSeconds, knowledge, knowledgeChosen, broadcast }),
  };
}

export function fromNetworkRow({ vni, subnets, mtu, pool, ...row }: NetworkRow): Network {
  return { vni: vni as Vni, subnets: JSON.parse(subnets), mtu, ...JSON.parse(pool), ...common(row) };
}

export function toHostRow(host: Host): HostRow {
  return { ...host, labels: JSON.stringify(host.labels), down: host.down ? 1 : 0 };
}

export function fromHostRow({ vtep, port, origin, down, ...row }: HostRow): Host {
  return { vtep: vtep as VtepAddress, port, origin, ...(down ? { down: true } : {}), ...common(row) };
}

export function toVmRow(vm: Vm): VmRow {
  const { preparedHost = null, interfaces, ownerNetworks, labels, ...rest } = vm;
  return {
    ...rest,
    prepared_host: preparedHost,
    interfaces: JSON.stringify(interfaces),
    owner_networks: ownerNetworks ? JSON.stringify(ownerNetworks) : null,
    labels: JSON.stringify(labels),
  };
}

/** Columns of `vms` in the order of `fromVmValues`. */
export const vmColumns = "name, uid, host, prepared_host, interfaces, owner_networks, revision, labels, description";

/** A million of them are read at a start: without objects in between. */
export function fromVmValues(values: readonly unknown[]): Vm {
  const [name, uid, host, prepared, interfaces, owners, revision, labels, description] = values as [
    ...[name: string, uid: string, host: string, prepared: string | null, interfaces: string, owners: string | null],
    ...[revision: Revision, labels: string, description: string],
  ];
  const vm = {
    name,
    host,
    interfaces: JSON.parse(interfaces),
    labels: parseLabels(labels),
    description,
    uid,
    revision,
  };
  if (prepared === null && owners === null) return vm;
  return {
    ...vm,
    ...(prepared === null ? {} : { preparedHost: prepared }),
    ...(owners === null ? {} : { ownerNetworks: JSON.parse(owners) }),
  };
}

const noLabels: Vm["labels"] = {};
const parseLabels = (labels: string): Vm["labels"] => (labels === "{}" ? noLabels : JSON.parse(labels));

function common({ name, uid, revision, labels, description }: ResourceRow) {
  return { name, uid, revision: revision as Revision, labels: parseLabels(labels), description };
}

export function fromEventRow(row: EventRow): LoggedEvent {
  const revision = row.revision as Revision;
  const change = changeOf(row, revision);
  return { revision, index: row.idx, time: row.time, dataVersion: changeDataVersion, change };
}

/** @param revision that the change was committed as, which staged data do not know */
export function changeOf(row: Pick<EventRow, "kind" | "data" | "data_version">, revision: Revision): ResourceChange {
  const { before, after } = upToDate(row.data_version, JSON.parse(row.data));
  return { kind: row.kind, before, after: after && Object.assign(after, { revision }) } as ResourceChange;
}

interface ChangeData {
  readonly before: object | null;
  readonly after: object | null;
}

/** Version 1 had neither labels nor descriptions. */
function upToDate(version: number, data: ChangeData): ChangeData {
  if (version >= 2) return data;
  const dated = (resource: object | null) => resource && { labels: {}, description: "", ...resource };
  return { before: dated(data.before), after: dated(data.after) };
}
