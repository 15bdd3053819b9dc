// The devices of a path on this host: tunnel end, vxlan, bridge, the guest's port; and whether frames fit. Pure.
import { type AgentNetwork, familyOf } from "../../schema/address/index.ts";
import type { WrongAttribute } from "../kernel/codec/forwarding-attributes.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import { giveAddress, letBridgesPass, raiseUnderlay, removeDevices } from "../kernel/devices/advice.ts";
import { commandToMake, type Hop, hopOf, mtuOn, overheadBytes } from "../kernel/devices/device-fit.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { type Check, note, ok, wrong } from "./check.ts";
import type { PathFacts } from "./facts.ts";

/** The agent repairs its own devices, unless something is in its way. */
const byAgent = ({ obstacle }: PathFacts): string =>
  obstacle === undefined
    ? "the agent repairs it within a moment; if it stays so, its log and `nearmiss agent status` say why"
    : `the agent cannot: ${obstacle}`;

const unusableBecause = {
  tentative: "it looks for another machine that has it",
  duplicate: "another machine has it",
} as const;

export function checkDevices(facts: PathFacts, network: AgentNetwork): Check[] {
  const { kernel } = facts;
  const bridge = checkBridge(facts, network);
  const vxlan = [...checkVxlan(facts, network)];
  const tunnel =
    vxlan.length > 0 ? vxlan : [ok("vxlan", `${kernel.vxlan?.name} is up, with the settings that misses need`)];
  return [checkTunnelEnd(facts), bridge, ...tunnel, ...checkMembership(facts), ...checkSourcePort(facts)];
}

function checkTunnelEnd({ tunnelEnd, kernel: { underlay } }: PathFacts): Check {
  if (!tunnelEnd) {
    return wrong("tunnel end", "the controller has not sent this host its VTEP address yet", "wait for the session");
  }
  const { vtep, registered } = tunnelEnd;
  if (!underlay) {
    return registered === undefined
      ? wrong(
          "tunnel end",
          `no interface of this host has the VTEP address ${vtep}: packets to it are lost`,
          `register the host with the address that it has, or, ${giveAddress(vtep)}`,
        )
      : wrong(
          "tunnel end",
          `no interface of this host has ${vtep} (--local-vtep for ${registered}): packets to it are lost`,
          "start the agent with the address that the host has",
        );
  }
  if (underlay.unusable) {
    return wrong(
      "tunnel end",
      `the kernel does not use ${vtep} on ${underlay.name}: ${unusableBecause[underlay.unusable]}`,
      `see who has the address, and what ip address show dev ${underlay.name} says of it`,
    );
  }
  if (!underlay.up) {
    return wrong(
      "tunnel end",
      `${underlay.name}, which has ${vtep}, is down`,
      "see who took it down and why (the network manager's log), and put it up there",
    );
  }
  return ok("tunnel end", `${vtep} is on ${underlay.name}, MTU ${underlay.mtu}`);
}

const describeWrong = (device: string, { attribute, value }: WrongAttribute): string =>
  `${attribute.name} of ${device} is ${attribute.words?.[value] ?? value}: ${attribute.otherwise}`;

function checkBridge(facts: PathFacts, { vni }: AgentNetwork): Check {
  const { bridge } = facts.kernel;
  if (!bridge) return wrong("bridge", `the bridge ${bridgeName(vni)} does not exist`, byAgent(facts));
  // It is put up last: before that, frames would reach a tunnel that is half set up.
  if (!bridge.up) return wrong("bridge", `the bridge ${bridge.name} is down`, byAgent(facts));
  const [off] = facts.kernel.adopted ? [] : (bridge.wrongBridge ?? []);
  if (off) return wrong("bridge", describeWrong(bridge.name, off), byAgent(facts));
  return ok("bridge", `${bridge.name} is up`);
}

function* checkVxlan(facts: PathFacts, { vni }: AgentNetwork): Generator<Check> {
  const { kernel, tunnelEnd } = facts;
  const { vxlan: link, rivals, vxlanAddresses, tables, adopted, bridge } = kernel;
  if (!link) {
    yield wrong("vxlan", `the vxlan device ${vxlanName(vni)} does not exist`, byAgent(facts));
    return;
  }
  const { name } = link;
  const again =
    adopted && tunnelEnd
      ? `take ${name} out of --adopt, or, if nothing else uses it, make it again: ${removeDevices(name)}; then ` +
        commandToMake(name, vni, tunnelEnd, bridge?.name)
      : byAgent(facts);
  if (!link.up) {
    yield wrong("vxlan", `${name} is down, and the kernel has erased its neighbours`, byAgent(facts));
  }
  const settings = link.vxlan;
  const off = (["proxy", "l2miss", "l3miss"] as const).filter((flag) => !settings?.[flag]);
  if (off.length > 0) {
    yield wrong(
      "vxlan",
      `${name} is without ${off.join(" and ")}, and the kernel cannot change that: ${lostTraffic(off)}`,
      again,
    );
  }
  if (settings?.learning) {
    yield wrong(
      "vxlan",
      `${name} learns from the wire: any frame that reaches it can move a MAC to another host`,
      byAgent(facts),
    );
  }
  if (settings && settings.vni !== vni) {
    yield wrong("vxlan", `${name} has VNI ${settings.vni}, the network ${vni}`, again);
  }
  if (tunnelEnd && settings?.local !== tunnelEnd.vtep) {
    yield wrong(
      "vxlan",
      `${name} sends from ${settings?.local ?? "no fixed address"}, registered is ${tunnelEnd.vtep}`,
      byAgent(facts),
    );
  }
  if (tunnelEnd && settings && settings.port !== tunnelEnd.vtepPort) {
    yield wrong("vxlan", `${name} uses UDP port ${settings.port}, registered is ${tunnelEnd.vtepPort}`, again);
  }
  if (rivals.length > 0) {
    yield wrong(
      "vxlan",
      `${rivals.join(", ")} has VNI ${vni} as well: frames from other hosts may end there`,
      `see whose it is (ip -d link show ${rivals[0]}); ${removeDevices(...rivals)} deletes it if nothing uses it`,
    );
  }
  const [address] = vxlanAddresses;
  if (address) {
    yield wrong(
      "vxlan",
      `${name} has an address of the host (${address}): the host's own neighbour entries hide misses`,
      `its owner has to move ${address} to another device: see who gave it (ip address show dev ${name})`,
    );
  }
  if (tables.floods) {
    yield wrong(
      "vxlan",
      `${name} has an all-zeros FDB entry: frames for unknown MACs are flooded there and raise no miss`,
      `see who wrote it (bridge fdb show dev ${name}, 00:00:00:00:00:00): that program floods through ${name}, and has to take it away`,
    );
  }
}

function lostTraffic(flags: readonly string[]): string {
  if (flags.includes("l3miss")) return "the controller is not asked for unknown IPs";
  return flags.includes("l2miss")
    ? "the controller is not asked for unknown MACs"
    : "guests' ARP and ND requests are not answered here";
}

function checkMembership(facts: PathFacts): Check[] {
  const { bridge, vxlan } = facts.kernel;
  if (!bridge || !vxlan) return [];
  if (vxlan.master !== bridge.ifindex) {
    return [
      wrong(
        "tunnel port",
        `${vxlan.name} is ${vxlan.master === undefined ? "not a port of any bridge" : "a port of another bridge"}`,
        byAgent(facts),
      ),
    ];
  }
  if (vxlan.portLearning) {
    return [
      wrong(
        "tunnel port",
        `${bridge.name} learns on ${vxlan.name}: an injected frame can move a local guest's MAC into the tunnel`,
        byAgent(facts),
      ),
    ];
  }
  const [off] = vxlan.wrongPort ?? [];
  if (off && vxlan.up && bridge.up) {
    return [wrong("tunnel port", describeWrong(`${vxlan.name} in ${bridge.name}`, off), byAgent(facts))];
  }
  return [ok("tunnel port", `${vxlan.name} is a port of ${bridge.name} and learns nothing`)];
}

/** The port of the first address's guest. A bridge forgets a guest that is silent for five minutes. */
function checkSourcePort(facts: PathFacts): Check[] {
  const { kernel, inventory, from } = facts;
  const { bridge, ports, portOfFrom } = kernel;
  if (!bridge) return [];
  const registered = inventory.kind === "read" && inventory.network ? inventory.from?.guestPort : undefined;
  const name = registered ?? portOfFrom?.port;
  if (ports.length === 0 && registered === undefined) {
    return [
      wrong(
        "source port",
        `${bridge.name} has no guest port: no guest is attached`,
        `attach that guest's own tap or veth to ${bridge.name}`,
      ),
    ];
  }
  if (portOfFrom?.isTunnel) {
    return [
      wrong(
        "source port",
        `${bridge.name} has the MAC of ${from} (${portOfFrom.mac}) behind the tunnel, though its VM is on this host`,
        "the guest's next frame moves it back to its port; if it stays so, look for another sender with that MAC",
      ),
    ];
  }
  const port = ports.find((each) => each.name === name);
  if (registered !== undefined && !port) {
    return [checkStrayPort(facts, registered, bridge.name)];
  }
  if (!port) {
    const seen = ports.map((each) => each.name).join(", ");
    return [note("source port", `${bridge.name} has received no frame of ${from} lately; its ports are ${seen}`)];
  }
  if (!port.up)
    return [
      wrong(
        "source port",
        `${port.name}, the port of ${from}, is down`,
        "see whether the guest runs: its hypervisor puts it up",
      ),
    ];
  const off = port.wrongPort?.find(({ attribute }) => port.carrier || attribute.name !== "state");
  if (off) {
    const fix = `if the guest must communicate, ask who sets it so (bridge -d link show dev ${port.name})`;
    return [wrong("source port", describeWrong(`${port.name}, the port of ${from},`, off), fix)];
  }
  if (registered === undefined) return [ok("source port", `${from} is behind ${port.name}`)];
  return [checkPin(facts, port)];
}

/** Registered, and not a port of the bridge. */
function checkStrayPort({ kernel, inventory, from, wrongPort }: PathFacts, port: string, bridge: string): Check {
  const vm = inventory.kind === "read" && inventory.network ? inventory.from?.vm : undefined;
  if (kernel.strayPort?.place === "absent")
    return wrong(
      "source port",
      `${from} is registered on port ${port}, and this host has no such device`,
      `start the guest; or, if it runs on another host, say so: nearmiss vm move ${vm} HOST; otherwise correct the interface's port`,
    );
  return wrong(
    "source port",
    `${from} is registered on port ${port}, which is not a port of ${bridge}`,
    wrongPort === undefined
      ? `attach it to ${bridge}, if it is that guest's tap or veth; otherwise correct the interface's port`
      : `it ${wrongPort}: correct the interface's port`,
  );
}

/** Of a port that is registered. */
function checkPin({ kernel: { portOfFrom }, from }: PathFacts, port: Link): Check {
  const pinned = portOfFrom?.port === port.name && port.portLearning === false && port.portFlood === false;
  if (pinned) return ok("source port", `${from} is behind ${port.name} and pinned there`);
  const seen = portOfFrom
    ? `the bridge has its MAC behind ${portOfFrom.port}`
    : "the bridge does not have its MAC there";
  const open = port.portLearning || port.portFlood ? `, and ${port.name} is not closed to others' frames` : "";
  return wrong(
    "source port",
    `${from} is registered on port ${port.name}, but ${seen}${open}`,
    "the agent pins it within a moment; if it stays so, nearmiss agent status and the agent's log say why",
  );
}

/** On the way to the other host, or where the tunnel ends here. */
function smallestHop({ route, underlay }: PathFacts["kernel"]): Hop | undefined {
  return route?.kind === "found" ? mtuOn(route.hops)?.smallest : hopOf(underlay);
}

/** Checks that guests' frames fit, and whether the host's own filter handles them. */
export function checkFit(facts: PathFacts, network: AgentNetwork): Check[] {
  const { kernel, tunnelEnd, to } = facts;
  const { vxlan, bridgeFilter } = kernel;
  const checks: Check[] = [];
  const underlay = smallestHop(kernel);
  if (underlay && tunnelEnd) {
    const most = underlay.mtu - overheadBytes[familyOf(tunnelEnd.vtep)];
    checks.push(
      network.mtu > most
        ? wrong(
            "MTU",
            `MTU ${network.mtu} of ${network.name} does not fit the underlay's ${underlay.mtu} (${underlay.device}): large packets are lost`,
            `${raiseUnderlay(underlay.device, network.mtu - most + underlay.mtu)}, or set the network's MTU, and that of its guests, to ${most} or less`,
          )
        : ok("MTU", `${network.mtu} fits the underlay's ${underlay.mtu}`),
    );
    if (vxlan && vxlan.mtu < underlay.mtu) {
      checks.push(
        wrong(
          "MTU",
          `${vxlan.name} has MTU ${vxlan.mtu} instead of the underlay's ${underlay.mtu}: it silently drops larger packets`,
          byAgent(facts),
        ),
      );
    }
  }
  // ARP goes with IPv4.
  const concerning = familyOf(to) === 4 ? ["iptables", "arptables"] : ["ip6tables"];
  const dropping = kernel.filterProblems.filter(({ filter }) => concerning.includes(filter));
  checks.push(...dropping.map(({ says, fix }) => wrong("filter", says, fix)));
  if (bridgeFilter && dropping.length === 0) {
    const table = familyOf(to) === 4 ? "iptables" : "ip6tables";
    const through = `bridged frames go through the host's ${table}`;
    checks.push(
      kernel.legacyFilter
        ? note(
            "filter",
            `${through}, and ${table}-legacy has rules that are not read: where its FORWARD policy is DROP, nothing passes`,
            letBridgesPass(`${table}-legacy`),
          )
        : ok("filter", `${through}, where no chain drops by its policy`),
    );
  }
  return checks;
}
