// `nearmiss agent remove`: deletes devices that nothing uses. What messages of the agent advise where a device is in the way or
// left behind: it looks at what the device carries first, since the guess behind a message can be wrong.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { setTimeout as delay } from "node:timers/promises";
import { decodeAddress, type Link } from "../kernel/codec/link-codec.ts";
import { RTM_GETADDR } from "../kernel/codec/link-numbers.ts";
import { encodeAddressDump } from "../kernel/codec/link-requests.ts";
import { Links } from "../kernel/devices/links.ts";
import { NetlinkError, RequestSocket } from "../kernel/sockets/request-socket.ts";
import { askAgent } from "./client.ts";
import type { RemoveFlags } from "./command-flags.ts";
import { type DeviceFacts, packetCounts, usesOf } from "./device-usage.ts";
import type { StatusReport } from "./report.ts";
import { defaultSockets } from "./socket-path.ts";

/** Long enough for the traffic of a guest in use. */
const watchMs = 1_000;

/** @returns the exit status */
export async function runRemove(
  names: readonly string[],
  { yes, inUse, socket: alsoAsked }: RemoveFlags,
): Promise<number> {
  const socket = new RequestSocket();
  try {
    const facts = await readFacts(socket, [...defaultSockets(), ...(alsoAsked === undefined ? [] : [alsoAsked])]);
    const missing = names.filter((name) => !facts.links.some((link) => link.name === name));
    if (missing.length > 0) return fail(`there is no device ${missing.join(" and no ")} in this network namespace`, 3);
    const uses = usesOf(names, facts);
    for (const use of uses) process.stderr.write(`${use}\n`);
    if (uses.length > 0 && !inUse) {
      return fail("nothing was removed: detach what uses it first, or, to break that, add --in-use", 4);
    }
    const doomed = facts.links.filter(({ name }) => names.includes(name));
    if (!yes && !(await confirm(doomed))) return fail("nothing was removed", 1);
    for (const link of doomed) await new Links(socket).delete(link);
    process.stdout.write(`removed ${names.join(", ")}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    return fail(`${error.message}: run it as root`, 1);
  } finally {
    socket.close();
  }
}

async function readFacts(socket: RequestSocket, agents: readonly string[]): Promise<DeviceFacts> {
  const before = countPackets();
  const [servedBy] = await Promise.all([findServed(agents), delay(watchMs)]);
  const after = countPackets();
  const links = await new Links(socket).list();
  const addresses = new Map<number, string[]>();
  for (const message of await socket.dump("list addresses", RTM_GETADDR, encodeAddressDump())) {
    const address = decodeAddress(message);
    if (address) addresses.set(address.ifindex, [...(addresses.get(address.ifindex) ?? []), address.ip]);
  }
  return {
    links,
    addresses,
    uppers: new Map(links.map(({ name }) => [name, uppersOf(name)])),
    packets: new Map([...after].map(([name, count]) => [name, count - (before.get(name) ?? count)])),
    servedBy,
  };
}

/** Of the calling thread's network namespace, whatever is mounted. */
const countPackets = () => packetCounts(readFileSync("/proc/net/dev", "utf8"));

function uppersOf(name: string): string[] {
  try {
    const found = readdirSync(`/sys/class/net/${name}`).filter((entry) => entry.startsWith("upper_"));
    return found.map((entry) => entry.slice("upper_".length));
  } catch {
    return [];
  }
}

/** Devices that agents of this network namespace forward with. An agent that does not answer has none: its packets show. */
async function findServed(agents: readonly string[]): Promise<Map<string, string>> {
  const here = namespaceOf("self");
  const served = new Map<string, string>();
  for (const path of agents) {
    const reply = await askAgent(path, { type: "status", maxEntries: 0 }).catch(() => undefined);
    const report = reply?.result as StatusReport | undefined;
    if (!report || namespaceOf(String(report.pid)) !== here) continue;
    for (const { name, vxlan, bridge } of report.networks) {
      // Left by another store: that agent does not serve it.
      if (name === null) continue;
      for (const device of [vxlan, bridge]) {
        served.set(device.name, `the agent of host ${report.host}, for network ${name}`);
      }
    }
  }
  return served;
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

async function confirm(doomed: readonly Link[]): Promise<boolean> {
  const described = doomed.map(({ name, kind, alias }) => `${name} (${kind ?? "device"}${alias ? `, ${alias}` : ""})`);
  if (!process.stdin.isTTY) {
    process.stderr.write(`${described.join(", ")}: nothing uses it. Add --yes to remove it without a question.\n`);
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Remove ${described.join(" and ")}? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

function fail(says: string, status: number): number {
  process.stderr.write(`nearmiss agent remove: ${says}\n`);
  return status;
}
