// Checks the answer for a path's destination: the agent's memory against the inventory, and the three entries in the kernel
// against both. Pure.
import type { AgentNetwork, MacAddress, VtepAddress } from "../../schema/address/index.ts";
import { conditionText } from "../../schema/agent/index.ts";
import { forgetNeighbour } from "../kernel/devices/advice.ts";
import { vxlanName } from "../kernel/devices/device-names.ts";
import type { ActualEntry, Entry } from "../tables/entry.ts";
import type { HeldFact } from "../tables/held-network.ts";
import { type Check, note, ok, wrong } from "./check.ts";
import { checkUnderlay } from "./explain-underlay.ts";
import type { PathFacts } from "./facts.ts";

/** The agent compares entries with what it has cached when they change, and each minute. */
const byAgent = "the agent writes it within a moment; if it stays so, its log and `nearmiss agent status` say why";
const restart = "if it stays so, restart the agent: entries stay, and it queries all its cached addresses again";

/** A remote VM's place, as the inventory has it or, without one, the agent's memory. */
interface Way {
  readonly mac: MacAddress;
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
}

export function checkRemote(facts: PathFacts, network: AgentNetwork): Check[] {
  const way = wayOf(facts);
  if (!way) return [];
  const held = facts.memory.to;
  const isHeld = held?.kind === "remote";
  const device = facts.kernel.vxlan?.name ?? vxlanName(network.vni);
  return [
    checkMemory(facts, way),
    ...(facts.kernel.vxlan
      ? [
          checkNeighbour(facts, way, isHeld, device),
          checkTunnel(facts, way, isHeld, device),
          checkBridge(facts, way, isHeld, device),
        ]
      : []),
    ...checkRoute(facts, way),
    ...checkTracking(facts),
    ...facts.tunnelFilters.map(({ says, fix }) => wrong("filter", says, fix)),
    ...checkUnderlay(facts),
  ];
}

function wayOf({ inventory, memory: { to }, replica }: PathFacts): Way | undefined {
  if (inventory.kind === "read" && inventory.network && inventory.to) return inventory.to;
  return to?.kind === "remote" ? to : to ? undefined : replica?.to;
}

function checkMemory({ inventory, memory: { to: held }, to, replica }: PathFacts, way: Way): Check {
  const registered = inventory.kind === "read" && inventory.network ? inventory.to : undefined;
  if (!held && replica?.to)
    return ok("memory", `${to} has no kernel entries yet: the first packet is answered from this host's memory`);
  if (!held) return note("memory", `${to} is not cached on this host: the first packet triggers a query`);
  const at = `at revision ${held.revision}`;
  const differs = difference(held, way);
  if (differs === undefined) return ok("memory", `${to} is cached ${at}: ${way.mac} at ${way.vtep}`);
  const since = registered ? `; the inventory has ${way.mac} at ${way.vtep} since revision ${registered.revision}` : "";
  return wrong(
    "memory",
    `the agent has cached ${differs} ${at}${since}`,
    `the change should have been pushed here; ${restart}`,
  );
}

/** The differing answer that the agent holds, undefined if it is the same. */
function difference(held: HeldFact, { mac, vtep, vtepPort }: Way): string | undefined {
  if (held.kind === "absent") return "that nothing is registered there";
  if (held.kind === "local") return "that it is on this host";
  if (held.mac === mac && held.vtep === vtep && held.vtepPort === vtepPort) return undefined;
  return `${held.mac} at ${held.vtep}${held.vtepPort === vtepPort ? "" : `:${held.vtepPort}`}`;
}

function find<Kind extends Entry["kind"]>(
  entries: readonly ActualEntry[],
  kind: Kind,
  is: (entry: Extract<Entry, { kind: Kind }>) => boolean,
): { entry: Extract<Entry, { kind: Kind }>; own: boolean; lasting: boolean } | undefined {
  for (const { entry, own, lasting } of entries) {
    // The cast follows the check of `kind`, which TypeScript does not carry over to the generic.
    if (entry.kind === kind && is(entry as Extract<Entry, { kind: Kind }>)) {
      return { entry: entry as Extract<Entry, { kind: Kind }>, own, lasting };
    }
  }
  return undefined;
}

function checkNeighbour({ kernel: { tables }, to }: PathFacts, { mac }: Way, held: boolean, device: string): Check {
  const name = "neighbour entry";
  const found = find(tables.entries, "neighbour", ({ ip }) => ip === to);
  if (tables.unresolved.includes(to)) {
    return wrong(
      name,
      `${device} has ${to} without a MAC, as the host itself leaves it after asking in vain: it raises no miss`,
      `${forgetNeighbour(to, device)}; then any packet for it raises one`,
    );
  }
  if (!found && !held) return note(name, "none yet: the first packet raises an l3miss");
  if (!found) {
    return wrong(name, `${to} is cached, but ${device} has no neighbour entry for it`, byAgent);
  }
  if (found.entry.mac !== mac) {
    return wrong(name, `${device} has ${to} at ${found.entry.mac}, it should be ${mac}`, byAgent);
  }
  if (!found.lasting) {
    return wrong(
      name,
      `${device} has ${to} at the right MAC, but not permanently: when it turns stale it answers nothing and raises no miss`,
      byAgent,
    );
  }
  return ownOr(name, found.own, `${to} is ${mac}`);
}

function checkTunnel(
  { kernel: { tables } }: PathFacts,
  { mac, vtep, vtepPort }: Way,
  held: boolean,
  device: string,
): Check {
  const name = "FDB entry (self)";
  const found = find(tables.entries, "tunnel", (entry) => entry.mac === mac);
  if (!found && !held) return note(name, "none yet: it comes with the answer");
  if (!found) {
    return wrong(name, `${mac} is cached, but ${device} does not know the VTEP behind it`, byAgent);
  }
  const { entry } = found;
  if (entry.vtep !== vtep || entry.vtepPort !== vtepPort) {
    return wrong(
      name,
      `${device} sends frames for ${mac} to ${entry.vtep}:${entry.vtepPort}, it should be ${vtep}:${vtepPort}`,
      byAgent,
    );
  }
  if (!found.lasting) {
    return wrong(name, `${device} has ${mac} at the right VTEP, but the entry expires, used or not`, byAgent);
  }
  return ownOr(name, found.own, `${mac} is behind ${vtep}`);
}

function checkBridge({ kernel: { tables, portOfTo } }: PathFacts, { mac }: Way, held: boolean, device: string): Check {
  const name = "FDB entry (master)";
  if (portOfTo && portOfTo.mac === mac && !portOfTo.isTunnel) {
    return wrong(
      name,
      `the bridge has ${mac} behind ${portOfTo.port}: a frame from there had this MAC as its source, so all frames for it go to that port`,
      `the agent moves it back; check the guest behind ${portOfTo.port}, which sends with this MAC`,
    );
  }
  const found = find(tables.entries, "bridge", (entry) => entry.mac === mac);
  if (!found && !held) return note(name, "none yet: it comes with the answer");
  if (!found) {
    return wrong(
      name,
      `the bridge does not know that ${mac} is behind ${device}, and floods its frames to all guests of the network on this host`,
      byAgent,
    );
  }
  return ownOr(name, found.own, `the bridge sends ${mac} to ${device}`);
}

const ownOr = (name: string, own: boolean, says: string): Check =>
  own ? ok(name, says) : note(name, `${says}; another program wrote it, and the agent will write it again`);

/** How packets leave this host for the other one. */
function checkRoute({ kernel: { route } }: PathFacts, { vtep }: Way): Check[] {
  if (!route) return [];
  if (route.kind === "found") {
    const hops = route.hops.map(({ device, mtu }) => `${device} (MTU ${mtu})`);
    return [ok("route", `packets to ${vtep} leave by ${hops.join(" and ")}`)];
  }
  const { reason: says, fix = "" } = conditionText({ kind: "vtep-unrouted", reason: route.reason, values: { vtep } });
  return [wrong("route", says, fix)];
}

/** Many flows of guests fill a table that the host has for its own connections. */
function checkTracking({ kernel: { tracked } }: PathFacts): Check[] {
  if (!tracked || tracked.count === 0) return [];
  const says = `the host tracks connections (${tracked.count} of ${tracked.most}): each flow of guests to other hosts is one, too`;
  return [note("tracking", says)];
}

/** Both guests on this host: the bridge delivers, and the tunnel must know nothing of the second. */
export function checkLocal({ kernel, memory: { to: held }, to, inventory, host }: PathFacts): Check[] {
  const registered = inventory.kind === "read" && inventory.network ? inventory.to : undefined;
  const mac = registered?.mac ?? (held?.kind === "local" ? held.mac : undefined);
  const device = kernel.vxlan?.name ?? "the tunnel";
  const checks: Check[] = [];
  if (held?.kind === "remote") {
    checks.push(
      wrong("memory", `the agent has cached ${to} at ${held.vtep}, the inventory has it on ${host}`, restart),
    );
  } else if (held?.kind === "absent") {
    checks.push(
      wrong("memory", `the agent has cached that ${to} is not registered, the inventory has it on ${host}`, restart),
    );
  } else checks.push(ok("memory", `${to} is a VM of this host, so it needs no tunnel entry`));
  const neighbour = find(kernel.tables.entries, "neighbour", ({ ip }) => ip === to);
  const tunnel = find(kernel.tables.entries, "tunnel", (entry) => entry.mac === mac);
  const bridge = find(kernel.tables.entries, "bridge", (entry) => entry.mac === mac);
  if (neighbour) {
    checks.push(wrong("neighbour entry", `${device} answers for ${to}, which is on this host`, byAgent));
  }
  if (tunnel) {
    checks.push(wrong("FDB entry (self)", `${device} has ${mac}, which is on this host`, byAgent));
  }
  if (bridge) {
    checks.push(
      wrong("FDB entry (master)", `the bridge has ${mac} behind ${device}, though its VM is on this host`, byAgent),
    );
  }
  const port = kernel.portOfTo;
  if (!port) checks.push(note("destination port", `the bridge has not heard ${to} lately: it floods the first frame`));
  else if (!port.isTunnel) checks.push(ok("destination port", `${to} is behind ${port.port}`));
  return checks;
}
