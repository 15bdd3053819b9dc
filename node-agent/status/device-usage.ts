// What stops working if a device is deleted, as far as the kernel and running agents show it. Pure.
import type { Link } from "../kernel/codec/link-codec.ts";

/** One reading of a namespace's devices. */
export interface DeviceFacts {
  readonly links: readonly Link[];
  /** By ifindex. */
  readonly addresses: ReadonlyMap<number, readonly string[]>;
  /** Names of devices on top of each, such as VLANs, by name. */
  readonly uppers: ReadonlyMap<string, readonly string[]>;
  /** Packets received while the command watched, by name: what a device sends by itself (router solicitations) is no traffic. */
  readonly packets: ReadonlyMap<string, number>;
  /** Running agents that serve a network with it, by the device's name, as text. */
  readonly servedBy: ReadonlyMap<string, string>;
}

/** @param names all that are to be deleted together. @returns why each should stay; empty: nothing uses them */
export function usesOf(names: readonly string[], facts: DeviceFacts): string[] {
  return names.flatMap((name) => {
    const link = facts.links.find((each) => each.name === name);
    return link ? usesOfLink(link, names, facts) : [];
  });
}

function usesOfLink(link: Link, names: readonly string[], facts: DeviceFacts): string[] {
  const { name, ifindex, kind, master } = link;
  const stays = (other: Link) => !names.includes(other.name);
  const ports = facts.links.filter((each) => each.master === ifindex && stays(each));
  const bridge = facts.links.find((each) => each.ifindex === master);
  const beside = bridge && stays(bridge) ? facts.links.filter((each) => each.master === master && stays(each)) : [];
  const uppers = (facts.uppers.get(name) ?? []).filter((upper) => !names.includes(upper) && upper !== bridge?.name);
  // Each device with IPv6 has one of its own.
  const addresses = (facts.addresses.get(ifindex) ?? []).filter((address) => !/^(?:fe80:|169\.254\.)/.test(address));
  const packets = facts.packets.get(name) ?? 0;
  const agent = facts.servedBy.get(name);
  return [
    ...(kind === undefined ? [`${name} is hardware, or not a device that can be deleted`] : []),
    ...(agent === undefined ? [] : [`${name} is in use by ${agent}`]),
    ...(ports.length === 0 ? [] : [`${name} has ${listed("port", ports)}`]),
    ...(bridge && beside.length > 0
      ? [`${name} is a port of ${bridge.name}, beside ${beside.map((each) => each.name).join(", ")}`]
      : []),
    ...(uppers.length === 0 ? [] : [`${uppers.join(", ")} ${uppers.length === 1 ? "is" : "are"} on top of ${name}`]),
    ...(addresses.length === 0 ? [] : [`${name} has the address ${addresses.join(", ")} of this host`]),
    ...(packets === 0
      ? []
      : [`${name} carries traffic: it received ${packets === 1 ? "1 packet" : `${packets} packets`} within a second`]),
  ];
}

function listed(what: string, links: readonly Link[]): string {
  return `the ${what}${links.length === 1 ? "" : "s"} ${links.map(({ name }) => name).join(", ")}`;
}

/** Packets that each device has received, from /proc/net/dev. */
export function packetCounts(text: string): Map<string, number> {
  const rows = text.split("\n").flatMap((line) => {
    const [, name, numbers] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    return name === undefined || numbers === undefined ? [] : [{ name, columns: numbers.split(/\s+/).map(Number) }];
  });
  return new Map(rows.map(({ name, columns }) => [name, columns[1] ?? 0]));
}
