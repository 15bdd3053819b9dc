// Invariants after a change set. Each rule checks only what the change set touches; the rest was valid before.
import type { ResourceKind } from "../../schema/events/index.ts";
import { type Host, movableIps, type Network, type Vm } from "../../schema/rest/index.ts";
import { allowedPlaces, checkAllowed, checkAllowedWithin } from "./allowed-rules.ts";
import { unknownHost } from "./breaches.ts";
import { addressKey, type TakenPlaces } from "./claims.ts";
import type { Draft } from "./draft.ts";
import { Footprint } from "./footprint.ts";
import { HostGains } from "./host-gains.ts";
import { hostsOf } from "./hosts-of.ts";
import type { Attachment } from "./inventory.ts";
import { PortRules } from "./port-rules.ts";
import { type OnRefusal, Refusal } from "./refusal.ts";
import { includesNetwork } from "./scope.ts";
import type { Steps } from "./steps.ts";
import { findAddressFault } from "./subnet-rules.ts";
import { UnderlayRules } from "./underlay-rules.ts";

/** Every refusal names what the change set collides with. @returns what the decision rests on, where nothing is refused */
export function* checkRules(draft: Draft, onRefusal: OnRefusal): Steps<Footprint> {
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
  const claims = draft.newClaims(addressesOf);
  const ports = new PortRules(draft);
  const places = new HostGains(draft);
  const underlays = new UnderlayRules(draft);
  // One pass for all that can be counted: a million VMs are read from disk.
  for (const [name, { before, after }] of draft.vms) {
    yield;
    ports.add(before, after);
    places.add(before, after);
    underlays.add(before, after);
    if (!after) continue;
    look("vm", name, () => checkReferences(draft, after));
    look("vm", name, () => checkHostsUp(draft, before, after));
    look("vm", name, () => checkAddressesFree(draft, claims, after));
    look("vm", name, () => checkAllowed(draft, claims, after));
  }
  yield* ports.check(look);
  places.check(look);
  yield* underlays.check(look);
  return new Footprint(draft, { addresses: claims, ports, gains: places, underlays });
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
    throw new Refusal("address-taken", `VNI ${after.vni} belongs to ${owner}: use another`);
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
  for (const [ip, vm] of draft.base.addressesIn(after.name)) {
    const fault = draft.vms.has(vm) ? undefined : findAddressFault(after, ip);
    if (!fault) continue;
    const detail = `VM "${vm}" has ${ip} in network "${after.name}", but then ${fault}: change the VM first`;
    throw new Refusal("in-use", detail);
  }
  checkAllowedWithin(draft, after);
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
  const coming = [...draft.vmsPreparedOn(name)];
  if (coming.length > 0)
    throw new Refusal("in-use", `host "${name}" is prepared for ${someOf(coming)}: abort that first`);
}

/** A VM may stay on a host that is down, but not be placed there, except by the change set that marks it down. */
function checkHostsUp(draft: Draft, before: Vm | null, after: Vm): void {
  for (const role of ["host", "preparedHost"] as const) {
    const name = after[role];
    if (name === undefined || before?.[role] === name || !draft.findHost(name)?.down) continue;
    const edit = draft.hosts.get(name);
    if (edit && !edit.before?.down) continue;
    const detail =
      `VM "${after.name}": host "${name}" is marked down: place the VM on another one, or say that the host is up ` +
      `(PATCH /v1/hosts/${name} {"down": false})`;
    throw new Refusal("host-down", detail);
  }
}

function checkReferences(draft: Draft, vm: Vm): void {
  for (const host of hostsOf(vm)) {
    if (!draft.findHost(host)) throw unknownHost(vm.name, host);
  }
  for (const each of vm.interfaces) {
    const network = draft.findNetwork(each.network);
    if (!network) {
      const detail = `VM "${vm.name}", interface "${each.name}": no network is named "${each.network}"`;
      throw new Refusal("unknown-reference", detail);
    }
    for (const ip of [...each.ips, ...movableIps(each)]) {
      const fault = findAddressFault(network, ip);
      if (fault) throw new Refusal("outside-subnets", `VM "${vm.name}", interface "${each.name}": ${fault}`);
    }
  }
}

/** MAC and IP are unique per network: among the VMs of the change set, and against those that it leaves alone. */
function checkAddressesFree(draft: Draft, claims: TakenPlaces, vm: Vm): void {
  const { base } = draft;
  for (const each of vm.interfaces) {
    const own = { vm, interface: each };
    const claim = (address: string, owner: string | undefined, find: () => Attachment | undefined) => {
      const key = addressKey(each.network, address);
      const [claimed] = claims.find(key);
      const isEdited = owner === vm.name || (owner !== undefined && draft.vms.has(owner));
      const other = claimed ?? (owner === undefined || isEdited ? undefined : find());
      if (other) {
        const holder = `${describe(other)} on host "${other.vm.host}"`;
        throw new Refusal(
          "address-taken",
          `${describe(own)}: ${address} belongs to ${holder} in network "${each.network}": take another, or free it there`,
        );
      }
      claims.add(key, own);
    };
    const { network, mac } = each;
    claim(mac, base.findOwnerOfMac(network, mac), () => base.findByMac(network, mac));
    for (const ip of each.ips) claim(ip, base.findOwnerOfIp(network, ip), () => base.findByIp(network, ip));
  }
}

function* addressesOf(attachment: Attachment): Generator<string> {
  const { network, mac, ips } = attachment.interface;
  for (const address of [mac, ...ips]) yield addressKey(network, address);
  yield* allowedPlaces(attachment);
}

function describe({ vm, interface: { name } }: Attachment): string {
  return `VM "${vm.name}", interface "${name}"`;
}

/**
 * Another resource that will have the same value: from the state unless the change set edits it, or from the change
 * set.
 */
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
