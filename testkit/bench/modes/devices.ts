// The devices of the modes without an agent: as the agent makes them (node-agent/kernel/devices/network-devices.ts), by hand.
import { run } from "../../lab/command.ts";
import { bridgeOf } from "../../lab/guest.ts";
import type { Host } from "../../lab/host.ts";
import { network } from "../addresses.ts";

const { vni } = network;
export const bridge = bridgeOf(vni);
export const tunnel = `nmv${vni}`;
const underlayMtu = 1_500;

/** Misses are reported and ARP is answered from the neighbour table; or the kernel floods and learns by itself. */
type Behaviour = "miss" | "learn";

export async function makeDevices(host: Host, behaviour: Behaviour): Promise<void> {
  const flags = behaviour === "miss" ? "nolearning proxy l2miss l3miss" : "learning";
  await host.ip(
    `link add name ${bridge} type bridge mcast_snooping 0`,
    `link add name ${tunnel} mtu ${underlayMtu} type vxlan id ${vni} local ${host.address} dstport 4789 ${flags}`,
    `link set ${bridge} addrgenmode none`,
    `link set ${tunnel} addrgenmode none`,
    `link set ${tunnel} master ${bridge}`,
  );
  if (behaviour === "miss") await host.exec(["bridge", "link", "set", "dev", tunnel, "learning", "off"]);
  await run(["tc", "-n", host.namespace, "-batch", "-"], {
    input: `qdisc add dev ${bridge} clsact\nfilter add dev ${bridge} ingress bpf da bytecode "1,6 0 0 2"\n`,
  });
  await host.ip(`link set ${tunnel} up`, `link set ${bridge} up`);
}

/** Many `bridge` commands in one process. */
export async function bridgeBatch(host: Host, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await run(["bridge", "-n", host.namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
