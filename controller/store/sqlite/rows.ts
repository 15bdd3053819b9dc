// Resources and events as rows. What the store wrote went through the parsers, so reading it back needs none.
import type {
  Host,
  LoggedEvent,
  Network,
  ResourceChange,
  ResourceKind,
  Revision,
  Vm,
  Vni,
  VtepAddress,
} from "../../../schema/index.ts";

export interface NetworkRow {
  name: string;
  uid: string;
  vni: number;
  subnets: string;
  mtu: number;
  revision: number;
}
export interface HostRow {
  name: string;
  uid: string;
  vtep: string;
  port: number;
  origin: Host["origin"];
  revision: number;
}
export interface VmRow {
  name: string;
  uid: string;
  host: string;
  interfaces: string;
  revision: number;
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

export function toNetworkRow(network: Network): NetworkRow {
  return { ...network, subnets: JSON.stringify(network.subnets) };
}

export function fromNetworkRow(row: NetworkRow): Network {
  return {
    name: row.name,
    vni: row.vni as Vni,
    subnets: JSON.parse(row.subnets),
    mtu: row.mtu,
    uid: row.uid,
    revision: row.revision as Revision,
  };
}

export function fromHostRow({ name, vtep, port, origin, uid, revision }: HostRow): Host {
  return { name, vtep: vtep as VtepAddress, port, origin, uid, revision: revision as Revision };
}

export function toVmRow(vm: Vm): VmRow {
  return { ...vm, interfaces: JSON.stringify(vm.interfaces) };
}

export function fromVmRow({ name, host, interfaces, uid, revision }: VmRow): Vm {
  return { name, host, interfaces: JSON.parse(interfaces), uid, revision: revision as Revision };
}

export function fromEventRow(row: EventRow): LoggedEvent {
  const { before, after } = JSON.parse(row.data);
  return {
    revision: row.revision as Revision,
    index: row.idx,
    time: row.time,
    dataVersion: row.data_version,
    change: { kind: row.kind, before, after } as ResourceChange,
  };
}
