// Conditions as a caller may see them, with their texts: a token that is limited to networks sees those of its networks, and of its hosts
// whether they are connected.
import { allConditionKinds, type ConditionFacts, conditionText, placeholdersOf } from "../../schema/agent/index.ts";
import type { ConditionView } from "../../schema/rest/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { Condition } from "../agents/conditions.ts";
import type { InventoryView } from "../auth/view.ts";

/** @returns undefined where the caller may not see it */
export function viewCondition(seen: InventoryView, condition: Condition): ConditionView | undefined {
  const { network } = condition;
  if (!seen.isWhole && (!network || seen.findNetwork(network.name)?.uid !== network.uid)) return undefined;
  return describeCondition(seen, condition);
}

/** Of a condition that the caller may see. */
export function describeCondition(seen: InventoryView, condition: Condition): ConditionView {
  const { host, network, vm, since, unknownSince } = condition;
  const isVmSeen = vm !== undefined && (seen.isWhole || seen.findVm(vm) !== undefined);
  return {
    ...describe(condition, network?.name, seen.isWhole || isForAll(condition)),
    host,
    ...(network ? { network: network.name } : {}),
    ...(isVmSeen ? { vm } : {}),
    status: unknownSince ? "unknown" : "true",
    since: since.toISOString(),
    ...(unknownSince ? { unknownSince: unknownSince.toISOString() } : {}),
  };
}

/** All of a host, whatever they are about, but not whether it is connected. */
export function conditionsOfHost(agents: AgentChannel, seen: InventoryView, host: string): ConditionView[] {
  return agents.conditions.present.of(host).flatMap((each) => viewCondition(seen, each) ?? []);
}

export function conditionsOfVm(agents: AgentChannel, seen: InventoryView, name: string, host: string): ConditionView[] {
  return conditionsOfHost(agents, seen, host).filter(({ vm }) => vm === name);
}

/** On all hosts. */
export function conditionsOfNetwork(agents: AgentChannel, seen: InventoryView, name: string): ConditionView[] {
  return agents.conditions.present.inNetwork(name).flatMap((each) => viewCondition(seen, each) ?? []);
}

/** As a field of a resource: absent where there are none. */
export function conditionsField(conditions: ConditionView[]): { readonly conditions?: ConditionView[] } {
  return conditions.length === 0 ? {} : { conditions };
}

/** A host with VMs that has no session. @param vms that the caller sees; @param lastSeen null: not since the controller started */
export function viewAway(host: string, vms: number, lastSeen: Date | null, startedAt: Date): ConditionView {
  const counted = vms === 1 ? "1 VM" : `${vms} VMs`;
  const since = (lastSeen ?? startedAt).toISOString();
  const facts = lastSeen
    ? ({ kind: "host-away", reason: "since", values: { last: since, vms: counted } } as const)
    : ({ kind: "host-away", reason: "never", values: { vms: counted } } as const);
  return { ...describe(facts, undefined, true), host, status: "true", since };
}

/** All of a host, that it is disconnected with VMs first. @param vms on it, that the caller sees */
export function allConditionsOfHost(
  { agents, startedAt }: { readonly agents: AgentChannel; readonly startedAt: Date },
  seen: InventoryView,
  host: string,
  vms: number,
): ConditionView[] {
  const reported = conditionsOfHost(agents, seen, host);
  const { connected, lastSeen } = agents.presenceOf(host);
  // The reason why it is disconnected says more.
  const isExplained = reported.some(({ kind }) => kind === "host-refused");
  return connected || vms === 0 || isExplained ? reported : [viewAway(host, vms, lastSeen, startedAt), ...reported];
}

/** The controller's own. */
export function viewOwn(facts: ConditionFacts, since: Date): ConditionView {
  return { ...describe(facts, undefined, true), status: "true", since: since.toISOString() };
}

/** The severe ones first, then by name. */
export function bySeverity(conditions: readonly ConditionView[]): ConditionView[] {
  const ranked = conditions.map((view) => {
    const { severity, host = "", kind, network = "", subject = "" } = view;
    return { view, rank: [severity === "bad" ? 0 : 1, host, kind, network, subject].join("\n") };
  });
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ view }) => view);
}

function describe(facts: ConditionFacts, network: string | undefined, isForAll: boolean) {
  const { kind, values } = facts;
  const { title, isBad, subject } = allConditionKinds[kind];
  const said = subject === undefined ? undefined : values[subject];
  return {
    kind,
    title,
    severity: isBad ? ("bad" as const) : ("warning" as const),
    ...((isForAll || !isOfHost(facts, subject)) && said !== undefined ? { subject: said } : {}),
    ...(isForAll ? conditionText(facts, network) : { reason: `${title}: an operator of the host sees more` }),
  };
}

/** Names of devices may name networks that the caller does not see; the port of a guest is part of its VM. */
function isForAll({ kind, reason }: Condition): boolean {
  return !placeholders({ kind, reason }).some(isHostsOwn);
}

type Placeholder = ReturnType<typeof placeholdersOf>[number];

const hostsOwn: readonly string[] = ["device", "chain", "make", "misfits"];
const isHostsOwn = ({ name, type }: Placeholder): boolean => name !== "port" && hostsOwn.includes(type);
const placeholders = ({ kind, reason }: Pick<ConditionFacts, "kind" | "reason">): Placeholder[] =>
  placeholdersOf(allConditionKinds[kind].texts[reason] ?? "");

const isOfHost = (facts: ConditionFacts, subject: string | undefined): boolean =>
  placeholders(facts).some((each) => each.name === subject && isHostsOwn(each));
