// Overload: misses that are not read, and a neighbour table that another namespace has filled.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { decodePlace, type NeighbourMessage } from "../../../node-agent/kernel/codec/neighbour-codec.ts";
import { parseVni } from "../../../schema/address/index.ts";
import { CommandError, ipBatch } from "../../lab/command.ts";
import { guestDevice } from "../../lab/guest.ts";
import { deleteNamespaces, Namespace } from "../../lab/namespace.ts";
import type { LogLine } from "../../lab/process.ts";
import { Scan } from "../../lab/scan.ts";
import { underlayDevice } from "../../lab/underlay.ts";
import { patienceMs, pause } from "../../lab/wait.ts";
import { median } from "../../statistics.ts";
import type { Fault } from "../fault.ts";
import { blue, ipsOf, macOf, type Scene } from "../scene.ts";
import { whileWatching } from "../watch.ts";

const missesPerSecond = 50_000;
const stoppedMs = 2_000;
const resolvedWithinMs = 1_000;
/** Once each: does not wait for a guest's own retry, which takes a second itself. */
const askEveryMs = 100;
/** The part of questions that may be left to a guest's retry: each time a scanner is listened to again, its flood is back. */
const mayBeLost = 0.1;
/** Nothing is registered there. */
const scanned = { firstIp: "10.20.64.0", size: 0x4000 } as const;

export const overrun: Fault = {
  name: "flannel#414, FRR#7883: 50,000 misses a second, not read for 2 s: survived, detected, repaired; others resolve within 1 s",
  // A host with more unknown addresses than are remembered receives every creation, and need not ask.
  fresh: true,
  mayLose: { because: "the guests share the machine's packet queues with the scan", forMs: 2_000 },
  act: async (scene, { overrunS }) => {
    const [scannerNumber = 0, ...targets] = scene.numbersFrom(
      1 + Math.ceil((overrunS * 1_000 - stoppedMs) / askEveryMs),
    );
    for (const [i, part] of inParts(targets, 32).entries()) {
      await scene.registerPeer(`overrun-${targets[0]}-${i}`, "b", part);
    }
    const scanner = await scene.bootVm(`overrun-${scannerNumber}`, "a", "blue", blue, scannerNumber);
    const { mac, ips } = scanner;
    const scan = await Scan.start(scanner, { mac, ip: ips[0] ?? "", ...scanned, rate: missesPerSecond });
    const { agent } = scene.host("a");
    const seen = agent.nextLog(isOverrun, "its log to tell of the overrun", overrunS * 1_000 + patienceMs);
    try {
      // No misses are read from the first one on: the scanning guest is not known.
      agent.signal("SIGSTOP");
      scan.go();
      await pause(stoppedMs);
      const answers = await askOneByOne(scene, targets, () => agent.signal("SIGCONT"));
      const { questions, ms } = await scan.pause();
      await seen;
      return [`${Math.round((questions / ms) * 1_000)} misses a second`, ...judge(answers)];
    } finally {
      agent.signal("SIGCONT");
      scan.end();
      await scanner.remove();
    }
  },
  tidy: (scene) => scene.deleteVms("overrun-"),
};

const isOverrun = ({ msg }: LogLine): boolean => msg.startsWith("overrun");

/** A question that was put once, at `askedMs` after the reader went on; null: the answer was not in the kernel at the end. */
interface Answered {
  readonly askedMs: number;
  readonly tookMs: number | null;
}

/** Another guest asks for one address after the other, once each, from the moment when the reader continues. */
async function askOneByOne(scene: Scene, numbers: readonly number[], goOn: () => void): Promise<Answered[]> {
  const heldMs = new Map<string, number>();
  const host = scene.host("a");
  const ifindex = await host.ifindexOf(`nmv${blue}`);
  const device = { ifindex, bridgeIfindex: 0, vni: parseVni(blue), vtepPort: 4789 };
  const note = (message: NeighbourMessage): void => {
    const place = decodePlace(message, device);
    if (place?.kind === "neighbour" && !heldMs.has(place.ip)) heldMs.set(place.ip, performance.now());
  };
  const asked: { readonly ip: string; readonly atMs: number }[] = [];
  const startMs = performance.now();
  await whileWatching(host, note, async () => {
    goOn();
    for (const [i, n] of numbers.entries()) {
      await pause(startMs + i * askEveryMs - performance.now());
      const [ip] = ipsOf(n);
      asked.push({ ip, atMs: performance.now() });
      await scene.ask(scene.guest(0), [ip]);
    }
    await pause(resolvedWithinMs);
  });
  return asked.map(({ ip, atMs }) => {
    const atHeldMs = heldMs.get(ip);
    return { askedMs: atMs - startMs, tookMs: atHeldMs === undefined ? null : Math.round(atHeldMs - atMs) };
  });
}

/** @throws Error where others are not answered from `resolvedWithinMs` after the reader went on */
function judge(answers: readonly Answered[]): string[] {
  const first = answers.find(({ tookMs }) => tookMs !== null);
  const firstMs = first?.tookMs == null ? Number.POSITIVE_INFINITY : Math.round(first.askedMs + first.tookMs);
  if (firstMs > resolvedWithinMs) throw new Error(`the first answer came after ${firstMs} ms, not ${resolvedWithinMs}`);
  const later = answers.filter(({ askedMs }) => askedMs >= resolvedWithinMs);
  const times = later.flatMap(({ tookMs }) => tookMs ?? []).sort((a, b) => a - b);
  const slowest = times.at(-1) ?? 0;
  const lost = later.length - times.length;
  const figures = `${times.length} of ${later.length} questions put once, later than ${resolvedWithinMs} ms`;
  const summary = `${figures}, answered: median ${median(times)} ms, slowest ${slowest} ms`;
  if (lost > later.length * mayBeLost) throw new Error(`only ${summary}`);
  return [`first answer ${firstMs} ms after the reader went on`, summary];
}

function inParts<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

export const neighbourTableFull: Fault = {
  name: "the kernel's neighbour table filled from another namespace: what works goes on, and new answers are programmed",
  act: async (scene) => {
    const [number = 0] = scene.numbersFrom(1);
    await scene.registerPeer(`full-${number}`, "b", [number]);
    const giveUp = await keepTheirOwn(scene);
    const filler = new Namespace(`nmfill${randomBytes(3).toString("hex")}`);
    await ipBatch([`netns add ${filler.namespace}`]);
    try {
      const filled = await fillTable(filler);
      await scene.ask(scene.guest(0), ipsOf(number).slice(0, 1));
      await scene.holds("a", ipsOf(number).slice(0, 1), 2_000);
      return [filled];
    } finally {
      await deleteNamespaces([filler.namespace]);
      await giveUp();
    }
  },
  tidy: (scene) => scene.deleteVms("full-"),
};

/** Guests and underlay share this kernel's table, which real ones would not: their own entries are made exempt. */
async function keepTheirOwn(scene: Scene): Promise<() => Promise<void>> {
  const { hosts, controllerNamespace, controllerAddress } = scene.lab;
  const underlay = [
    ...hosts.map((host) => ({ where: host as Namespace, ip: host.address })),
    { where: controllerNamespace, ip: controllerAddress },
  ];
  const macs = await Promise.all(underlay.map(({ where }) => macOfDevice(where, underlayDevice)));
  const undo: (() => Promise<void>)[] = [];
  const pin = async (
    where: Namespace,
    device: string,
    entries: readonly { ip: string; mac: string }[],
  ): Promise<void> => {
    await where.ip(...entries.map(({ ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`));
    undo.push(() =>
      where.ip(...entries.map(({ ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev ${device} nud reachable`)),
    );
  };
  for (const { where } of underlay) {
    const others = underlay.flatMap((other, i) => (other.where === where ? [] : { ip: other.ip, mac: macs[i] ?? "" }));
    await pin(where, underlayDevice, others);
  }
  for (const guest of scene.guests) {
    const others = scene.guests.filter((other) => other !== guest);
    await pin(
      guest,
      guestDevice,
      others.flatMap(({ ips, mac }) => ips.map((ip) => ({ ip, mac }))),
    );
  }
  return async () => {
    for (const each of undo) await each();
  };
}

async function macOfDevice(where: Namespace, device: string): Promise<string> {
  const [link] = JSON.parse(await where.exec(["ip", "-j", "link", "show", "dev", device])) as { address: string }[];
  if (!link) throw new Error(`no ${device} in ${where.namespace}`);
  return link.address;
}

/** @returns the kernel's error, and the number of entries before it. @throws Error if the kernel accepted them all */
async function fillTable(filler: Namespace): Promise<string> {
  const limit = Number(readFileSync("/proc/sys/net/ipv4/neigh/default/gc_thresh3", "utf8"));
  await filler.ip("link add fill type veth peer name fill-peer", "link set fill up", "link set fill-peer up");
  const entry = (n: number) =>
    `neigh add 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} lladdr ${macOf(blue, n)} dev fill nud reachable`;
  try {
    await filler.ip(...Array.from({ length: limit + 16 }, (_, n) => entry(n + 1)));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return `full at ${limit} entries: ${error.stderr.trim().split("\n")[0] ?? ""}`;
  }
  throw new Error(`the kernel took ${limit + 16} entries of ${limit}`);
}
