// What must hold when a change set is done. Each rule looks only at what the change set touches; for the rest it held
// before.
import { type Family, familyOf, type Host, type Network, type Vm } from "../../schema/index.ts";
import type { Draft } from "./draft.ts";
import { Refusal } from "./refusal.ts";
import { findAddressFault } from "./subnet-rules.ts";

/** @throws Refusal naming what the change set collides with */
export function checkRules(draft: Draft): void {
  for (const { before, after } of draft.networks.values()) {
    if (after) checkNetwork(draft, before, after);
    else if (before) checkNetworkUnused(draft, before.name);
  }
  for (const { before, after } of draft.hosts.values()) {
    if (after) checkVtepFree(draft, after);
    else if (before) checkHostUnused(draft, before.name);
  }
  for (const { after } of draft.vms.values()) if (after) checkReferences(draft, after);
  checkAddressesFree(draft);
  for (const network of networksWithNewHosts(draft)) checkUnderlayFamily(draft, network);
}

function checkNetwork(draft: Draft, before: Network | null, after: Network): void {
  if (before === after) return;
  const twin = findTwin(
    draft.networks,
    draft.base.findNetworkByVni(after.vni),
    after,
    (other) => other.vni === after.vni,
  );
  if (twin) throw new Refusal("address-taken", `VNI ${after.vni} belongs to network "${twin.name}"`);
  if (!before) return;
  if (before.vni !== after.vni) {
    const [user] = draft.vmsIn(after.name);
    if (user) {
      const detail = `network "${after.name}" keeps VNI ${before.vni} while VMs have interfaces in it, such as "${user.name}"`;
      throw new Refusal("immutable", detail);
    }
  }
  if (before.subnets.every((subnet) => after.subnets.includes(subnet))) return;
  for (const [ip, { vm }] of draft.base.addressesIn(after.name)) {
    const fault = draft.vms.has(vm.name) ? undefined : findAddressFault(after, ip);
    if (fault) throw new Refusal("in-use", `VM "${vm.name}" has ${ip} in network "${after.name}", but then ${fault}`);
  }
}

function checkNetworkUnused(draft: Draft, name: string): void {
  const users = [...draft.vmsIn(name)];
  if (users.length > 0) throw new Refusal("in-use", `network "${name}" has interfaces of ${someOf(users)}`);
}

function checkVtepFree(draft: Draft, host: Host): void {
  const { vtep, port } = host;
  const same = (other: Host) => other.vtep === vtep && other.port === port;
  const twin = findTwin(draft.hosts, draft.base.findHostByVtep(vtep, port), host, same);
  if (twin) throw new Refusal("address-taken", `VTEP ${vtep} port ${port} belongs to host "${twin.name}"`);
}

function checkHostUnused(draft: Draft, name: string): void {
  const users = [...draft.vmsOn(name)];
  if (users.length > 0) throw new Refusal("in-use", `host "${name}" runs ${someOf(users)}`);
}

function checkReferences(draft: Draft, vm: Vm): void {
  if (!draft.findHost(vm.host))
    throw new Refusal("unknown-reference", `VM "${vm.name}": no host is named "${vm.host}"`);
  for (const each of vm.interfaces) {
    const network = draft.findNetwork(each.network);
    if (!network) {
      const detail = `VM "${vm.name}", interface "${each.name}": no network is named "${each.network}"`;
      throw new Refusal("unknown-reference", detail);
    }
    for (const ip of each.ips) {
      const fault = findAddressFault(network, ip);
      if (fault) throw new Refusal("outside-subnets", `VM "${vm.name}", interface "${each.name}": ${fault}`);
    }
  }
}

/** MAC and IP are unique per network: among the VMs of the change set, and against those that it leaves alone. */
function checkAddressesFree(draft: Draft): void {
  const claims = new Map<string, string>();
  const claim = (network: string, address: string, owner: string, holder: Vm | undefined) => {
    const key = `${network} ${address}`;
    const other = claims.get(key) ?? (holder && !draft.vms.has(holder.name) ? `VM "${holder.name}"` : undefined);
    if (other) throw new Refusal("address-taken", `${owner}: ${address} belongs to ${other} in network "${network}"`);
    claims.set(key, owner);
  };
  for (const { after } of draft.vms.values()) {
    for (const each of after?.interfaces ?? []) {
      const owner = `VM "${after?.name}", interface "${each.name}"`;
      claim(each.network, each.mac, owner, draft.base.findByMac(each.network, each.mac)?.vm);
      for (const ip of each.ips) claim(each.network, ip, owner, draft.base.findByIp(each.network, ip)?.vm);
    }
  }
}

/** Networks where a host may have come in, or changed the family of its VTEP. */
function networksWithNewHosts(draft: Draft): Set<string> {
  const networks = new Set<string>();
  for (const { after } of draft.vms.values()) for (const each of after?.interfaces ?? []) networks.add(each.network);
  for (const { before, after } of draft.hosts.values()) {
    if (!before || !after || familyOf(before.vtep) === familyOf(after.vtep)) continue;
    for (const network of draft.base.networksOn(after.name).keys()) networks.add(network);
  }
  return networks;
}

/**
 * A vxlan device has one underlay family. Hosts that the change set leaves alone agree already, so one of them speaks
 * for all: the cost is that of the change set, not of the network.
 */
function checkUnderlayFamily(draft: Draft, network: string): void {
  const seen = new Map<Family, string>();
  for (const host of hostsToCompare(draft, network)) {
    const vtep = draft.findHost(host)?.vtep;
    if (!vtep) continue;
    const family = familyOf(vtep);
    const other = seen.get(family === 4 ? 6 : 4);
    if (other) {
      const [v4, v6] = family === 4 ? [host, other] : [other, host];
      const detail = `network "${network}" would span host "${v4}" with an IPv4 VTEP and host "${v6}" with an IPv6 VTEP`;
      throw new Refusal("mixed-underlay", detail);
    }
    seen.set(family, host);
  }
}

function* hostsToCompare(draft: Draft, network: string): Generator<string> {
  for (const { after } of draft.vms.values()) {
    if (after?.interfaces.some((each) => each.network === network)) yield after.host;
  }
  const stays = (host: string) =>
    [...draft.vms.values()].reduce((count, { before }) => {
      const leaving = before?.host === host ? before.interfaces.filter((each) => each.network === network).length : 0;
      return count - leaving;
    }, draft.base.hostsIn(network).get(host) ?? 0) > 0;
  for (const host of draft.hosts.keys()) if (stays(host)) yield host;
  for (const host of draft.base.hostsIn(network).keys()) {
    if (draft.hosts.has(host) || !stays(host)) continue;
    yield host;
    return;
  }
}

/** Another resource that will stand for the same: from the state unless the change set edits it, or from the change set. */
function findTwin<T extends { readonly name: string }>(
  edits: ReadonlyMap<string, { readonly after: T | null }>,
  stored: T | undefined,
  own: T,
  same: (other: T) => boolean,
): T | undefined {
  if (stored && !edits.has(stored.name)) return stored;
  for (const { after } of edits.values()) if (after && after.name !== own.name && same(after)) return after;
  return undefined;
}

function someOf(vms: readonly Vm[]): string {
  const names = vms.slice(0, 3).map((vm) => `"${vm.name}"`);
  const more = vms.length > names.length ? ", …" : "";
  return vms.length === 1 ? `VM ${names[0]}` : `${vms.length} VMs (${names.join(", ")}${more})`;
}
