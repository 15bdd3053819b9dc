// Where a broadcast of a guest goes, or a frame to a multicast group, as checks: what the network's setting is, whether this host copies, and whether the kernel has the
// destinations. Pure.
import {
  type AgentNetwork,
  groupMac,
  type IpAddress,
  linkPurpose,
  subnetFamily,
  subnetLast,
  subnetLength,
} from "../../schema/address/index.ts";
import { maxCopies } from "../tables/broadcast.ts";
import { broadcastMac } from "../tables/entry.ts";
import { type Check, note, ok, wrong } from "./check.ts";
import type { GroupFacts, PathFacts } from "./facts.ts";
import { limitedBroadcast } from "./protocol.ts";
import { describeEnd } from "./report.ts";

/** Destinations that a line names. */
const maxNamed = 8;

/** The address means every guest: 255.255.255.255, or the last of an IPv4 subnet that no VM has (RFC 919). */
export function isBroadcastTo({ to, inventory }: PathFacts): boolean {
  if (to === limitedBroadcast) return true;
  if (inventory.kind !== "read" || !inventory.network || inventory.to) return false;
  return inventory.network.subnets.some(
    (subnet) => subnetFamily(subnet) === 4 && subnetLength(subnet) < 31 && subnetLast(subnet) === (to as IpAddress),
  );
}

export function checkBroadcast(facts: PathFacts, network: AgentNetwork): Check[] {
  const { kernel } = facts;
  const name = "broadcast";
  const found = checkCopying(facts, network);
  if (!("destinations" in found)) return [found];
  const { destinations } = found;
  if (destinations.length === 0)
    return [note(name, `no other host has a VM in ${network.name}: there is nothing to copy`)];
  const checks = [ok(name, `broadcasts of ${network.name} are copied to ${named(destinations)}`)];
  if (kernel.vxlan) checks.push(checkEntries(facts, destinations, broadcastMac));
  checks.push(...checkLimit(facts));
  checks.push(
    note("never copied", "DHCP, IGMP, router discovery, IPv6 and tagged frames stay on this host, and ARP is answered"),
  );
  return checks;
}

/** A frame of the guest to a group: where its members are, and where it is copied to. */
export function checkGroup(
  facts: PathFacts,
  network: AgentNetwork,
  { group, ports, hosts, destinations }: GroupFacts,
): Check[] {
  const name = "group";
  const purpose = linkPurpose(group);
  if (purpose !== undefined)
    return [note(name, `frames to ${group} stay on their host in every network: it is for ${purpose}`)];
  const found = checkCopying(facts, network);
  if (!("destinations" in found)) return [found];
  const here =
    ports.length === 0 ? "no guest of this host has joined it" : `its members here are behind ${ports.join(", ")}`;
  if (hosts.length === 0)
    return [
      note(
        name,
        `no guest of another host has joined ${group}, as far as this host was sent; ${here}`,
        `see what the receiver has joined (in a guest of Linux: ip maddress show), and nearmiss network groups ${network.name}`,
      ),
    ];
  const checks = [
    ok(name, `${group} has members on ${named(hosts)}, and is copied to ${named(destinations)}; ${here}`),
  ];
  if (facts.kernel.vxlan) checks.push(checkEntries(facts, destinations, groupMac(group)));
  checks.push(...checkLimit(facts));
  checks.push(
    note("never copied", "IGMP, MLD, neighbour and router discovery, DHCP and tagged frames stay on this host"),
  );
  return checks;
}

/** Whether this host copies anything of the network, and the tunnel ends of its other hosts. */
function checkCopying(facts: PathFacts, network: AgentNetwork): Check | { readonly destinations: readonly string[] } {
  const { broadcast } = facts;
  const name = "broadcast";
  if (network.broadcast === undefined)
    return wrong(
      name,
      `broadcasts of ${network.name} stay on their host: its broadcast is off`,
      "if they should reach its other hosts, set the network's broadcast to replicate",
    );
  if (!broadcast || broadcast.state === "pending")
    return note(name, `${network.name} is being prepared for broadcasts to other hosts: ask again`);
  const { state, destinations } = broadcast;
  if (state === "unfiltered")
    return wrong(
      name,
      `broadcasts of ${network.name} stay on this host: the rules that keep DHCP and router advertisements out of the copies are not in place`,
      "install Debian's nftables; the agent tries again every half minute, and its log has the reason",
    );
  if (state === "too-many")
    return wrong(
      name,
      `broadcasts of ${network.name} stay on this host: it is on ${destinations.length + 1} hosts, and copies go to at most ${maxCopies}`,
      "set the network's broadcast to off, or use fewer hosts for it",
    );
  return { destinations };
}

function checkLimit({ broadcast, kernel }: PathFacts): Check[] {
  if (!broadcast?.limited.some((port) => port === kernel.portOfFrom?.port)) return [];
  return [
    note(
      "limit",
      "this guest sends more broadcasts or multicasts than are copied a second (--max-broadcast-copies): the rest stays here",
    ),
  ];
}

function checkEntries({ kernel: { tables, vxlan } }: PathFacts, destinations: readonly string[], mac: string): Check {
  const what = mac === broadcastMac ? "broadcasts" : `frames to ${mac}`;
  const name = `FDB entries (${mac === broadcastMac ? "broadcast" : mac})`;
  const device = vxlan?.name ?? "the tunnel";
  const present = tables.entries.flatMap(({ entry }) =>
    entry.kind === "broadcast" && entry.mac === mac ? [describeEnd(entry)] : [],
  );
  const missing = destinations.filter((each) => !present.includes(each));
  const others = present.filter((each) => !destinations.includes(each));
  const byAgent = "the agent corrects it within a moment; if it stays so, its log and `nearmiss agent status` say why";
  if (missing.length > 0) return wrong(name, `${device} does not copy ${what} to ${named(missing)}`, byAgent);
  if (others.length > 0)
    return wrong(
      name,
      `${device} copies ${what} to ${named(others)}, which has no ${mac === broadcastMac ? "VM in the network" : "member"}`,
      byAgent,
    );
  return ok(name, `${device} has all ${present.length}`);
}

function named(destinations: readonly string[]): string {
  const more = destinations.length - maxNamed;
  return `${destinations.slice(0, maxNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
