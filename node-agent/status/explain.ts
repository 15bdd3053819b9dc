// From the facts about a path to checks, in the order of the path: controller, inventory, this host's devices, the
// answer in memory, the three entries in the kernel, what lies beyond. Pure.
import { type IpAddress, type MacAddress, subnetContains } from "../../schema/address/index.ts";
import { type Check, note, ok, wrong } from "./check.ts";
import { checkBroadcast, checkGroup, isBroadcastTo } from "./explain-broadcast.ts";
import { checkDevices, checkFit } from "./explain-devices.ts";
import { checkLocal, checkRemote } from "./explain-entries.ts";
import { checkFarEnd } from "./explain-far-end.ts";
import { checkDestinationGuest, checkSourceGuest } from "./explain-guests.ts";
import type { Explanation } from "./explanation.ts";
import type { PathFacts } from "./facts.ts";
import type { Registered, RegisteredNetwork } from "./inventory.ts";

export function explain(facts: PathFacts): Explanation {
  const checks = checkPath(facts);
  const { host, network, from, to, inventory } = facts;
  const end = inventory.kind === "read" && inventory.network ? inventory.to?.host : undefined;
  const wrongs = checks.filter(({ state }) => state === "wrong");
  const first = wrongs.find(({ name }) => name === endOfTunnel) ?? wrongs[0] ?? null;
  return { host, network, from, to, ...(end !== undefined && end !== host ? { farHost: end } : {}), first, checks };
}

/** Without it, most of the others are what follows from it: the session with the controller goes, too. */
const endOfTunnel = "tunnel end";

function checkPath(facts: PathFacts): Check[] {
  return [...checkAlong(facts), ...checkConditions(facts)];
}

/** What the agent has found on this host, and no check on the path looks at. */
const checkConditions = ({ conditions }: PathFacts): Check[] =>
  conditions.map(({ kind, reason, fix }) => note(kind, reason, fix));

/** Ends after a problem that makes later checks pointless. */
function checkAlong(facts: PathFacts): Check[] {
  const checks = [ok("agent", `the agent of host ${facts.host} answers`), checkSession(facts), checkNetwork(facts)];
  if (!facts.told) return checks;
  checks.push(...checkKnowledge(facts));
  const source = checkSource(facts);
  checks.push(source);
  if (source.state === "wrong") return checks;
  checks.push(...checkSourceGuest(facts), ...checkDevices(facts, facts.told));
  if (isBroadcastTo(facts)) return [...checks, ...checkBroadcast(facts, facts.told)];
  if (facts.group) return [...checks, ...checkGroup(facts, facts.told, facts.group)];
  const destination = checkDestination(facts);
  checks.push(destination, ...checkDestinationGuest(facts));
  if (destination.state !== "wrong")
    checks.push(...(isHere(facts) ? checkLocal(facts) : checkRemote(facts, facts.told)));
  checks.push(...checkFit(facts, facts.told));
  // What is wrong here comes first: the command is run here.
  if (destination.state !== "wrong" && !isHere(facts)) checks.push(...checkFarEnd(facts));
  return checks;
}

function checkSession({ session }: PathFacts): Check {
  const { controller, state, reason, asOf, refused } = session;
  if (state === "connected") return ok("session", `connected to ${controller} at revision ${asOf ?? 0}`);
  const why = reason === undefined ? "the first attempt is in progress" : reason;
  return wrong(
    "session",
    `the agent has no session with the controller ${controller}: ${why}. Cached addresses keep working; new ones cannot be resolved`,
    refused
      ? "an operator has to allow it again, as the reason says; the agent then comes back with its next attempt (nearmiss agent status has when), or when it is started again"
      : `see whether the controller runs and this host reaches ${new URL("/livez", controller).href}; the agent retries on its own`,
  );
}

function checkNetwork({ inventory, network, told, host }: PathFacts): Check {
  if (inventory.kind === "unreachable") {
    const rest = told
      ? `memory and kernel are compared with each other only`
      : `this host does not know a network ${network}`;
    return wrong(
      "inventory",
      `the inventory is not available (${inventory.reason}): ${rest}`,
      "see whether the controller runs and this host reaches it",
    );
  }
  if (!inventory.network) {
    return wrong(
      "network",
      `no network "${network}" is registered`,
      "correct the name (nearmiss network list), or register it (nearmiss network create --help)",
    );
  }
  const { vni } = inventory.network;
  if (told) return ok("network", `${network} is VNI ${vni} and has a VM on this host`);
  const here = inventory.from?.host === host;
  return wrong(
    "network",
    here
      ? `${network} has a VM on this host, but the controller has not sent it to the agent yet`
      : `${network} has no VM on host ${host}, so this host does not serve it`,
    here
      ? "wait a moment and ask again; if it stays so, look at the agent's session (nearmiss agent status)"
      : "run this on the host of the first address, or register that VM with this host",
  );
}

/** Nothing for a network on demand. */
function checkKnowledge({ replica, network, to, inventory, session }: PathFacts): Check[] {
  const chosen = inventory.kind === "read" ? inventory.network?.knowledge : undefined;
  if (!replica)
    return chosen?.startsWith("auto") ? [note("knowledge", `${network} is on demand here (${chosen})`)] : [];
  const { state, addresses } = replica;
  const name = "knowledge";
  const inMemory = `${network} is in this host's memory, with ${addresses} addresses`;
  if (state === "no room")
    return [
      wrong(
        name,
        `${network} does not fit into the agent's memory for whole networks, so it is on demand`,
        "raise --max-replica-memory, or set the network's knowledge to on-demand",
      ),
    ];
  if (state === "receiving") return [note(name, `${network} is being received: it is on demand until it is complete`)];
  if (state === "alone")
    return [note(name, `${inMemory}, as of revision ${session.asOf ?? 0}, the last of the session`)];
  const found = inventory.kind === "read" && inventory.network ? inventory.to : undefined;
  // Read before the table: a change between the two is in a second look.
  if (found && replica.to && (replica.to.mac !== found.mac || replica.to.vtep !== found.vtep))
    return [note(name, `${inMemory}, and has ${to} at ${replica.to.mac} behind ${replica.to.vtep}: ask again`)];
  if (found && !replica.to) return [note(name, `${inMemory}, but not ${to}: ask again`)];
  const why = chosen?.startsWith("auto") ? ` (${chosen})` : "";
  return [ok(name, `${inMemory}, as of revision ${session.asOf ?? 0}${why}`)];
}

function checkSource({ inventory, network, from, host, memory, takers }: PathFacts): Check {
  if (inventory.kind === "unreachable" || !inventory.network) {
    if (memory.from?.kind === "local") return ok("source", `${from} is a VM of this host, as the agent remembers it`);
    return wrong(
      "source",
      `the agent does not remember ${from} as a VM of this host`,
      "run this on the host of the first address, or ask again when the controller is back",
    );
  }
  const { from: found } = inventory;
  if (!found && takers?.from[0] !== undefined) return notTaken("source", from, takers.from);
  if (!found) return wrong("source", notRegistered(from, inventory.network), howToRegister(from, network));
  if (found.host !== host) {
    return wrong(
      "source",
      `${from} is VM ${found.vm}, which is registered on host ${found.host}, not on ${host}`,
      `run this on host ${found.host}; if the VM runs here, say so: nearmiss vm move ${found.vm} ${host}`,
    );
  }
  return ok("source", `${from} is VM ${found.vm} of this host, MAC ${found.mac}`);
}

function checkDestination({ inventory, network, to, host, memory, told, takers, replica }: PathFacts): Check {
  if (inventory.kind === "unreachable" || !inventory.network) {
    const { to: held } = memory;
    if (held && held.kind !== "absent")
      return ok("destination", `${to} has MAC ${held.mac}, as the agent remembers it`);
    if (!held && replica?.to)
      return ok("destination", `${to} has MAC ${replica.to.mac}, by the network in this host's memory`);
    return wrong(
      "destination",
      held ? `${to} was not registered at the controller's last answer` : `the agent has no answer for ${to}`,
      "ask again when the controller is back: until then it cannot be resolved",
    );
  }
  const { to: found } = inventory;
  if (!found && takers?.to[0] !== undefined) return notTaken("destination", to, takers.to);
  if (!found) {
    const held = memory.to;
    const quiet = held?.kind === "absent" && told ? "; its registration is pushed to this host at once" : "";
    return wrong("destination", notRegistered(to, inventory.network), `${howToRegister(to, network)}${quiet}`);
  }
  const where = found.host === host ? "on this host too" : `on host ${found.host}`;
  return ok("destination", `${to} is VM ${found.vm} ${where}, MAC ${found.mac}, revision ${found.revision}`);
}

function notTaken(name: string, ip: IpAddress, macs: readonly MacAddress[]): Check {
  return wrong(
    name,
    `no guest has taken ${ip}, which guests of this host may have (${macs.join(", ")})`,
    "the guest that is to have it must announce it with a gratuitous ARP or an unsolicited neighbour advertisement, as keepalived does",
  );
}

function notRegistered(ip: IpAddress, { name, subnets }: RegisteredNetwork): string {
  const inside = subnets.some((subnet) => subnetContains(subnet, ip));
  return inside
    ? `no VM with ${ip} is registered in ${name}`
    : `${ip} is in no subnet of ${name} (${subnets.join(", ")}), so no VM can have it`;
}

function howToRegister(ip: IpAddress, network: string): string {
  return `correct the address, or register its VM with an interface in ${network} that has ${ip} (nearmiss vm create --help)`;
}

function isHere({ inventory, memory, host }: PathFacts): boolean {
  const registered: Registered | undefined = inventory.kind === "read" && inventory.network ? inventory.to : undefined;
  return registered ? registered.host === host : memory.to?.kind === "local";
}
