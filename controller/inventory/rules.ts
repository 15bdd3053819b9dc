// What must hold when a change set is done. Each rule looks only at what the change set touches; for the rest it held
// before.
import {
  type Family,
  familyOf,
  type Host,
  limits,
  type Network,
  type ResourceKind,
  type Vm,
} from "../../schema/index.ts";
import type { Draft } from "./draft.ts";
import type { Attachment } from "./inventory.ts";
import { Refusal } from "./refusal.ts";
import { includesNetwork } from "./scope.ts";
import type { Steps } from "./steps.ts";
import { findAddressFault } from "./subnet-rules.ts";
import { TwoLevelMap } from "./two-level-map.ts";

/** Hears of each breach and of the resource that is at fault. May throw, which ends the look. */
export type OnRefusal = (refusal: Refusal, kind: ResourceKind, name: string) => void;

/** Every refusal names what the change set collides with. */
export function* checkRules(draft: Draft, onRefusal: OnRefusal): Steps<void> {
  const look = (kind: ResourceKind, name: string, check: () => void) => {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      onRefusal(error, kind, name);
    }
  };
  for (const [name, { before, after }] of draft.networks) {
    yield;
    if (after) look("network", name, () => checkNetwork(draft, before, after));
    else if (before) look("network", name, () => checkNetworkUnused(draft, name));
  }
  for (const [name, { before, after }] of draft.hosts) {
    yield;
    if (after) look("host", name, () => checkVtepFree(draft, after));
    else if (before) look("host", name, () => checkHostUnused(draft, name));
  }
  const claims = new Map<string, Attachment>();
  for (const [name, { after }] of draft.vms) {
    yield;
    if (!after) continue;
    look("vm", name, () => checkReferences(draft, after));
    look("vm", name, () => checkAddressesFree(draft, claims, after));
  }
  yield* checkHostCapacity(draft, look);
  yield* checkUnderlays(draft, look);
}

function checkNetwork(draft: Draft, before: Network | null, after: Network): void {
  if (before === after) return;
  const twin = findTwin(
    draft.networks,
    draft.base.findNetworkByVni(after.vni),
    after,
    (other) => other.vni === after.vni,
  );
  if (twin) {
    const owner = includesNetwork(draft.scope, twin.name) ? `network "${twin.name}"` : "another network";
    throw new Refusal("address-taken", `VNI ${after.vni} belongs to ${owner}: take another`);
  }
  if (!before) return;
  if (before.vni !== after.vni) {
    const [user] = draft.vmsIn(after.name);
    if (user) {
      const detail = `network "${after.name}" keeps VNI ${before.vni} while VMs have interfaces in it, such as "${user.name}": make another network`;
      throw new Refusal("immutable", detail);
    }
  }
  if (before.subnets.every((subnet) => after.subnets.includes(subnet))) return;
  for (const [ip, { vm }] of draft.base.addressesIn(after.name)) {
    const fault = draft.vms.has(vm.name) ? undefined : findAddressFault(after, ip);
    if (!fault) continue;
    const detail = `VM "${vm.name}" has ${ip} in network "${after.name}", but then ${fault}: change the VM first`;
    throw new Refusal("in-use", detail);
  }
}

function checkNetworkUnused(draft: Draft, name: string): void {
  const users = [...draft.vmsIn(name)];
  if (users.length === 0) return;
  throw new Refusal("in-use", `network "${name}" has interfaces of ${someOf(users)}: remove these first`);
}

function checkVtepFree(draft: Draft, host: Host): void {
  const { vtep, port } = host;
  const same = (other: Host) => other.vtep === vtep && other.port === port;
  const twin = findTwin(draft.hosts, draft.base.findHostByVtep(vtep, port), host, same);
  if (twin)
    throw new Refusal(
      "address-taken",
      `VTEP ${vtep} port ${port} belongs to host "${twin.name}": take another address or port`,
    );
}

function checkHostUnused(draft: Draft, name: string): void {
  const users = [...draft.vmsOn(name)];
  if (users.length > 0) throw new Refusal("in-use", `host "${name}" runs ${someOf(users)}: move or delete them first`);
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
function checkAddressesFree(draft: Draft, claims: Map<string, Attachment>, vm: Vm): void {
  for (const each of vm.interfaces) {
    const own = { vm, interface: each };
    const claim = (address: string, stored: Attachment | undefined) => {
      const key = `${each.network} ${address}`;
      const other = claims.get(key) ?? (stored && !draft.vms.has(stored.vm.name) ? stored : undefined);
      if (other) {
        const holder = `${describe(other)} on host "${other.vm.host}"`;
        throw new Refusal(
          "address-taken",
          `${describe(own)}: ${address} belongs to ${holder} in network "${each.network}": take another, or free it there`,
        );
      }
      claims.set(key, own);
    };
    claim(each.mac, draft.base.findByMac(each.network, each.mac));
    for (const ip of each.ips) claim(ip, draft.base.findByIp(each.network, ip));
  }
}

function describe({ vm, interface: { name } }: Attachment): string {
  return `VM "${vm.name}", interface "${name}"`;
}

type Look = (kind: ResourceKind, name: string, check: () => void) => void;

/** Only hosts that gain VMs are looked at: where the limit is exceeded for another reason, VMs may still leave. */
function* checkHostCapacity(draft: Draft, look: Look): Steps<void> {
  const gained = new Map<string, { step: number; vm: string }>();
  const count = (host: string, step: number, vm: string) =>
    gained.set(host, { step: (gained.get(host)?.step ?? 0) + step, vm });
  for (const { before, after } of draft.vms.values()) {
    yield;
    if (before) count(before.host, -1, before.name);
    if (after) count(after.host, 1, after.name);
  }
  for (const [host, { step, vm }] of gained) {
    if (step <= 0 || draft.base.vmsOn(host).size + step <= limits.vmsPerHost) continue;
    look("vm", vm, () => {
      const detail = `host "${host}" would have more than ${limits.vmsPerHost} VMs: place VM "${vm}" on another one`;
      throw new Refusal("limit-exceeded", detail);
    });
  }
}

/**
 * A vxlan device has one underlay family. Hosts that the change set leaves alone agree already, so one of them speaks
 * for all: the cost is that of the change set, not of the network.
 */
function* checkUnderlays(draft: Draft, look: Look): Steps<void> {
  /** By network, the hosts that VMs of the change set are on, each with one of these VMs. */
  const coming = new TwoLevelMap<string, string, string>();
  /** By network and host, how many interfaces the change set takes away. */
  const leaving = new TwoLevelMap<string, string, number>();
  const networks = new Set<string>();
  for (const { before, after } of draft.vms.values()) {
    yield;
    for (const { network } of before?.interfaces ?? []) {
      const host = before?.host ?? "";
      leaving.set(network, host, (leaving.get(network, host) ?? 0) + 1);
    }
    for (const { network } of after?.interfaces ?? []) {
      coming.set(network, after?.host ?? "", after?.name ?? "");
      networks.add(network);
    }
  }
  for (const { before, after } of draft.hosts.values()) {
    if (!before || !after || familyOf(before.vtep) === familyOf(after.vtep)) continue;
    for (const network of draft.base.networksOn(after.name).keys()) networks.add(network);
  }
  for (const network of networks) {
    yield;
    const seen = new Map<Family, string>();
    for (const host of stayingHosts(draft, network, leaving)) {
      look("host", host, () => checkUnderlay(draft, network, host, seen));
    }
    for (const [host, vm] of coming.under(network)) {
      look("vm", vm, () => checkUnderlay(draft, network, host, seen));
    }
  }
}

function checkUnderlay(draft: Draft, network: string, host: string, seen: Map<Family, string>): void {
  const vtep = draft.findHost(host)?.vtep;
  if (!vtep) return;
  const family = familyOf(vtep);
  const other = seen.get(family === 4 ? 6 : 4);
  if (other !== undefined) {
    const [v4, v6] = family === 4 ? [host, other] : [other, host];
    const detail = `network "${network}" would span host "${v4}" with an IPv4 VTEP and host "${v6}" with an IPv6 VTEP: use hosts of one family`;
    throw new Refusal("mixed-underlay", detail);
  }
  seen.set(family, host);
}

/** Hosts in the network by VMs that the change set leaves alone: all that it edits, and one of the others. */
function* stayingHosts(draft: Draft, network: string, leaving: TwoLevelMap<string, string, number>): Generator<string> {
  const interfaces = draft.base.hostsIn(network);
  const stays = (host: string) => (interfaces.get(host) ?? 0) > (leaving.get(network, host) ?? 0);
  for (const host of draft.hosts.keys()) if (stays(host)) yield host;
  for (const host of interfaces.keys()) {
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
