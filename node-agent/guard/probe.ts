// Sends a frame that must pass and frames that must not through a bridge of its own: proves that this kernel enforces the rules
// before guests rely on them.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { type IpAddress, type MacAddress, macToBytes, parseIp, parseMac } from "../../schema/address/index.ts";
import { encodeAnnouncement } from "../kernel/codec/packet-codec.ts";
import { FrameSender } from "../kernel/sockets/guest-sockets.ts";
import { runCommand } from "./commands.ts";
import { readTable } from "./readback.ts";
import { tableName } from "./rule-table.ts";
import { elementsScript, type GuardedPorts } from "./rules.ts";

const mac = parseMac("02:00:00:00:00:01");
const ip = parseIp("192.0.2.1");
const otherMac = parseMac("02:00:00:00:00:02");
const otherIp = parseIp("192.0.2.2");

/** Long enough for a softirq on a loaded machine. */
const deadlineMs = 5_000;
const pollMs = 5;

/**
 * @param guarded ports that stay guarded during the probe
 * @returns the first check that failed; undefined if the rules work
 * @throws CommandError
 */
export async function probeRules(guarded: GuardedPorts): Promise<string | undefined> {
  const id = randomBytes(4).toString("hex");
  const [bridge, port, guest] = [`nmpb${id}`, `nmpp${id}`, `nmpg${id}`];
  const sender = new FrameSender();
  try {
    await runCommand("ip", ["-batch", "-"], devicesOf(bridge, port, guest));
    const ports: GuardedPorts = new Map([...guarded, [port, new Map([[mac, new Set([ip])]])]]);
    await runCommand("nft", ["-f", "-"], elementsScript(ports).script);
    const ifindex = Number(readFileSync(`/sys/class/net/${guest}/ifindex`, "utf8"));
    const before = await passed(bridge);
    for (const frame of [foreignFrame(), announce(otherIp, mac), announce(ip, mac)]) {
      if (!sender.send(frame, ifindex)) return `the probe's device ${guest} takes no frame`;
    }
    // Frames are handled in order: when the last one has passed, the others have been decided.
    const until = performance.now() + deadlineMs;
    while ((await passed(bridge)) === before) {
      if (performance.now() > until) return "a frame that may pass does not";
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    const { dropped, offenders } = readTable(await runCommand("nft", ["-j", "list", "table", "bridge", tableName]));
    const counted = offenders.get(port) ?? 0;
    return counted === 2 && (dropped.get("mac") ?? 0) >= 1 && (dropped.get("arp") ?? 0) >= 1
      ? undefined
      : `of two spoofed frames the rules dropped ${counted}`;
  } finally {
    sender.close();
    await runCommand("ip", ["link", "del", port]).catch(() => {});
    await runCommand("ip", ["link", "del", bridge]).catch(() => {});
    await runCommand("nft", ["-f", "-"], elementsScript(guarded).script);
  }
}

function devicesOf(bridge: string, port: string, guest: string): string {
  return [
    `link add ${bridge} type bridge stp_state 0 mcast_snooping 0`,
    `link add ${port} type veth peer name ${guest}`,
    ...[bridge, port, guest].map((device) => `link set ${device} addrgenmode none`),
    `link set ${port} master ${bridge}`,
    ...[guest, port, bridge].map((device) => `link set ${device} up`),
    "",
  ].join("\n");
}

/** Frames that the bridge delivered to the host: they include broadcasts. */
async function passed(bridge: string): Promise<number> {
  return Number(readFileSync(`/sys/class/net/${bridge}/statistics/rx_packets`, "utf8"));
}

const announce = (of: IpAddress, from: MacAddress): Buffer => encodeAnnouncement({ ip: of, mac: from, router: false });

/** Valid content, from a MAC that is not registered for the port. */
function foreignFrame(): Buffer {
  const frame = Buffer.from(announce(ip, mac));
  macToBytes(otherMac).copy(frame, 6);
  return frame;
}
