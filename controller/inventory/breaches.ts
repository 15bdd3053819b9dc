// Writes of a change set beyond the scope of its actor.
import type { Vm } from "../../schema/rest/index.ts";
import type { Draft } from "./draft.ts";
import { hostsOf } from "./hosts-of.ts";
import { type OnRefusal, Refusal } from "./refusal.ts";
import { narrowVm } from "./scope.ts";
import type { Steps } from "./steps.ts";

/**
 * Reports writes of the draft beyond its scope to `refuse`, as if the resources did not exist.
 * @param placeable hosts that VMs may be placed on; absent: any
 * @returns whether a write was reported
 */
export function* findBreaches(
  { scope, networks, hosts, vms }: Draft,
  placeable: ReadonlySet<string> | undefined,
  refuse: OnRefusal,
): Steps<boolean> {
  if (scope === "all") return false;
  let found = false;
  const breach: OnRefusal = (refusal, kind, name) => {
    found = true;
    refuse(refusal, kind, name);
  };
  for (const name of networks.keys()) {
    yield;
    if (!scope.has(name)) breach(new Refusal("not-found", `no network is named "${name}"`), "network", name);
  }
  for (const name of hosts.keys()) {
    yield;
    breach(new Refusal("not-found", `no host is named "${name}"`), "host", name);
  }
  for (const [name, { before, after }] of vms) {
    yield;
    const refusal = findVmRefusal(scope, name, before, after) ?? findPlaceRefusal(placeable, name, before, after);
    if (refusal) breach(refusal, "vm", name);
  }
  return found;
}

function findVmRefusal(scope: ReadonlySet<string>, name: string, before: Vm | null, after: Vm | null) {
  const seen = before && narrowVm(scope, before);
  // Names are shared, so the fact that a name is taken cannot be hidden from a caller who wants it. Nothing else gets
  // this far.
  if (before && !seen) return new Refusal("name-taken", `the name "${name}" is in use`);
  if (seen && seen !== before) {
    const detail = `VM "${name}" also has interfaces in networks that are not yours: this requires a token for all of them`;
    return new Refusal("forbidden", detail);
  }
  const given = after?.ownerNetworks?.find((each) => !scope.has(each));
  if (given) return new Refusal("unknown-reference", `VM "${name}": no network is named "${given}"`);
  const foreign = after?.interfaces.find((each) => !scope.has(each.network));
  if (!foreign) return undefined;
  const detail = `VM "${name}", interface "${foreign.name}": no network is named "${foreign.network}"`;
  return new Refusal("unknown-reference", detail);
}

/** A VM may stay where others have placed it, also where they have prepared a migration to. */
function findPlaceRefusal(
  placeable: ReadonlySet<string> | undefined,
  name: string,
  before: Vm | null,
  after: Vm | null,
): Refusal | undefined {
  const stood = before ? hostsOf(before) : [];
  const host = after && hostsOf(after).find((each) => !stood.includes(each) && placeable?.has(each) === false);
  return host ? unknownHost(name, host) : undefined;
}

/** The same words whether it does not exist or the asker may not place VMs there. */
export function unknownHost(vm: string, host: string): Refusal {
  return new Refusal("unknown-reference", `VM "${vm}": no host is named "${host}"`);
}
