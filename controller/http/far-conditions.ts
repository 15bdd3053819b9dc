// Conditions as a host may see them: its own, and of the other host of a path what may stop that path. A host that has a VM in one of its
// networks may be asked about; names of that host's devices are left out, as for tokens that are limited to networks.
import { allConditionKinds } from "../../schema/agent/index.ts";
import type { ConditionView } from "../../schema/rest/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { Condition } from "../agents/conditions.ts";
import type { InventoryView } from "../auth/view.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { knownNames } from "../inventory/known-networks.ts";
import { describeCondition, viewAway } from "./condition-views.ts";

export interface FarConditionsDeps {
  readonly agents: AgentChannel;
  readonly startedAt: Date;
}

/** @param seen what the reader sees of `state` @param host absent: the reader itself */
export function conditionsForHost(
  { agents, startedAt }: FarConditionsDeps,
  { state, seen }: { readonly state: Inventory; readonly seen: InventoryView },
  reader: string,
  host = reader,
): ConditionView[] {
  const known = knownNames(state, reader);
  const isNear = host === reader || [...known.keys()].some((network) => state.countInterfaces(host, network) > 0);
  if (!isNear) return [];
  const vtep = state.findHost(reader)?.vtep;
  const reported = agents.conditions.present
    .of(host)
    .filter((each) => host === reader || concerns(each, (network) => known.has(network), vtep))
    .map((each) => describeCondition(seen, each));
  const { connected, lastSeen } = agents.presenceOf(host);
  if (connected || reported.some(({ kind }) => kind === "host-refused")) return reported;
  const common = [...known.keys()].reduce((sum, network) => sum + state.countInterfaces(host, network), 0);
  return [viewAway(host, host === reader ? state.vmsOn(host).size : common, lastSeen, startedAt), ...reported];
}

/** Of a network that both know; or of the host as a whole, where frames of all networks are lost. */
function concerns(
  { kind, network, values }: Condition,
  isKnown: (network: string) => boolean,
  vtep: string | undefined,
): boolean {
  if (network) return isKnown(network.name);
  const { about, isBad } = allConditionKinds[kind];
  // Which other hosts it does not reach is nothing to this one.
  return about === "host" && isBad === true && (kind !== "vtep-unrouted" || values.vtep === vtep);
}
