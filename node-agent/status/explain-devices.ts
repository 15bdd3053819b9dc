// The devices of a path on this host: tunnel end, vxlan, bridge, the guest's port; and whether frames fit. Pure.
import { type AgentNetwork, familyOf } from "../../schema/index.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import { commandToMake, overheadBytes } from "../kernel/devices/device-fit.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { type Check, note, ok, wrong } from "./check.ts";
import type { PathFacts } from "./facts.ts";

const whyDevice = "the agent's log and `nearmiss agent status` say why it has not made it";

export function checkDevices(facts: PathFacts, network: AgentNetwork): Check[] {
  const { kernel } = facts;
  const bridge = checkBridge(kernel.bridge, network);
  const vxlan = [...checkVxlan(facts, network)];
  const tunnel =
    vxlan.length > 0 ? vxlan : [ok("vxlan", `${kernel.vxlan?.name} is up, with the settings that misses need`)];
  return [checkTunnelEnd(facts), bridge, ...tunnel, ...checkMembership(facts), ...checkSourcePort(facts)];
}

function checkTunnelEnd({ tunnelEnd, kernel: { underlay } }: PathFacts): Check {
  if (!tunnelEnd) {
    return wrong("tunnel end", "the controller has not sent this host its VTEP address yet", "wait for the session");
  }
  const { vtep } = tunnelEnd;
  if (!underlay) {
    return wrong(
      "tunnel end",
      `no interface of this host has the VTEP address ${vtep}: packets to it are lost`,
      `ip address add ${vtep}/… dev …; or register the host with the address that it has`,
    );
  }
  if (!underlay.up) {
    return wrong("tunnel end", `${underlay.name}, which has ${vtep}, is down`, `ip link set ${underlay.name} up`);
  }
  return ok("tunnel end", `${vtep} is on ${underlay.name}, MTU ${underlay.mtu}`);
}

function checkBridge(bridge: Link | undefined, { vni }: AgentNetwork): Check {
  if (!bridge) return wrong("bridge", `the bridge ${bridgeName(vni)} does not exist`, whyDevice);
  if (!bridge.up) return wrong("bridge", `the bridge ${bridge.name} is down`, `ip link set ${bridge.name} up`);
  return ok("bridge", `${bridge.name} is up`);
}

function* checkVxlan({ kernel, tunnelEnd }: PathFacts, { vni }: AgentNetwork): Generator<Check> {
  const { vxlan: link, rivals, vxlanAddresses, tables, adopted, bridge } = kernel;
  if (!link) {
    yield wrong("vxlan", `the vxlan device ${vxlanName(vni)} does not exist`, whyDevice);
    return;
  }
  const { name } = link;
  const again =
    adopted && tunnelEnd
      ? `ip link del ${name}; ${commandToMake(name, vni, tunnelEnd, bridge?.name)}`
      : `ip link del ${name}; the agent makes it again`;
  if (!link.up) {
    yield wrong(
      "vxlan",
      `${name} is down, and the kernel has erased its neighbours`,
      `ip link set ${name} up; the agent writes the neighbours again`,
    );
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
      `ip link set ${name} type vxlan nolearning`,
    );
  }
  if (settings && settings.vni !== vni) {
    yield wrong("vxlan", `${name} has VNI ${settings.vni}, the network ${vni}`, again);
  }
  if (tunnelEnd && settings?.local !== tunnelEnd.vtep) {
    yield wrong(
      "vxlan",
      `${name} sends from ${settings?.local ?? "no fixed address"}, registered is ${tunnelEnd.vtep}`,
      `ip link set ${name} type vxlan local ${tunnelEnd.vtep}`,
    );
  }
  if (tunnelEnd && settings && settings.port !== tunnelEnd.vtepPort) {
    yield wrong("vxlan", `${name} uses UDP port ${settings.port}, registered is ${tunnelEnd.vtepPort}`, again);
  }
  if (rivals.length > 0) {
    yield wrong(
      "vxlan",
      `${rivals.join(", ")} has VNI ${vni} as well: frames from other hosts may end there`,
      rivals.map((rival) => `ip link del ${rival}`).join("; "),
    );
  }
  const [address] = vxlanAddresses;
  if (address) {
    yield wrong(
      "vxlan",
      `${name} has an address of the host (${address}): the host's own neighbour entries hide misses`,
      `ip address flush dev ${name}`,
    );
  }
  if (tables.floods) {
    yield wrong(
      "vxlan",
      `${name} has an all-zeros FDB entry: frames for unknown MACs are flooded there and raise no miss`,
      `bridge fdb del 00:00:00:00:00:00 dev ${name} dst …, as bridge fdb show dev ${name} lists it`,
    );
  }
}

function lostTraffic(flags: readonly string[]): string {
  if (flags.includes("l3miss")) return "the controller is not asked for unknown IPs";
  return flags.includes("l2miss")
    ? "the controller is not asked for unknown MACs"
    : "guests' ARP and ND requests are not answered here";
}

function checkMembership({ kernel: { bridge, vxlan } }: PathFacts): Check[] {
  if (!bridge || !vxlan) return [];
  if (vxlan.master !== bridge.ifindex) {
    return [
      wrong(
        "tunnel port",
        `${vxlan.name} is ${vxlan.master === undefined ? "not a port of any bridge" : "a port of another bridge"}`,
        `ip link set ${vxlan.name} master ${bridge.name}; the agent then sets its port again`,
      ),
    ];
  }
  if (vxlan.portLearning) {
    return [
      wrong(
        "tunnel port",
        `${bridge.name} learns on ${vxlan.name}: an injected frame can move a local guest's MAC into the tunnel`,
        `bridge link set dev ${vxlan.name} learning off`,
      ),
    ];
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
  if (ports.length === 0) {
    return [
      wrong(
        "source port",
        `${bridge.name} has no guest port: no guest is attached`,
        `ip link set TAP master ${bridge.name} up`,
      ),
    ];
  }
  if (portOfFrom?.isTunnel) {
    return [
      wrong(
        "source port",
        `${bridge.name} has the MAC of ${from} (${portOfFrom.mac}) behind the tunnel, though its VM is on this host`,
        `bridge fdb del ${portOfFrom.mac} dev ${portOfFrom.port} master; the guest's next frame moves it back to its port`,
      ),
    ];
  }
  const port = ports.find((each) => each.name === name);
  if (registered !== undefined && !port) {
    return [
      wrong(
        "source port",
        `${from} is registered on port ${registered}, which is not a port of ${bridge.name}`,
        `ip link set ${registered} master ${bridge.name} up; or correct the interface's port`,
      ),
    ];
  }
  if (!port) {
    const seen = ports.map((each) => each.name).join(", ");
    return [note("source port", `${bridge.name} has received no frame of ${from} lately; its ports are ${seen}`)];
  }
  if (!port.up)
    return [wrong("source port", `${port.name}, the port of ${from}, is down`, `ip link set ${port.name} up`)];
  if (registered === undefined) return [ok("source port", `${from} is behind ${port.name}`)];
  return [checkPin(facts, port)];
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

/** Checks that guests' frames fit, and whether the host's own filter handles them. */
export function checkFit({ kernel, tunnelEnd, to }: PathFacts, network: AgentNetwork): Check[] {
  const { underlay, vxlan, bridgeFilter } = kernel;
  const checks: Check[] = [];
  if (underlay && tunnelEnd) {
    const most = underlay.mtu - overheadBytes[familyOf(tunnelEnd.vtep)];
    checks.push(
      network.mtu > most
        ? wrong(
            "MTU",
            `MTU ${network.mtu} of ${network.name} does not fit the underlay's ${underlay.mtu}: large packets are lost`,
            `set the network's MTU to ${most} or less, or raise that of ${underlay.name} to ${network.mtu - most + underlay.mtu}`,
          )
        : ok("MTU", `${network.mtu} fits the underlay's ${underlay.mtu}`),
    );
    if (vxlan && vxlan.mtu < underlay.mtu) {
      checks.push(
        wrong(
          "MTU",
          `${vxlan.name} has MTU ${vxlan.mtu} instead of the underlay's ${underlay.mtu}: it silently drops larger packets`,
          `ip link set ${vxlan.name} mtu ${underlay.mtu}`,
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
    checks.push(
      note(
        "filter",
        `bridged frames go through the host's ${table}: where its FORWARD policy is DROP, as Docker sets it, nothing passes`,
        `sysctl -w net.bridge.bridge-nf-call-${table}=0`,
      ),
    );
  }
  return checks;
}
