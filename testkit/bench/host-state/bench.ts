// `host-state`: what a host keeps in its kernel while its guests talk to some VMs of very many, whose popularity drifts. The agent's
// core in a namespace, real packets and the kernel's own ages; no controller: what a guest's miss would bring is given to the core.
import { toThousandths } from "../../../common/round.ts";
import { Uplink } from "../../../node-agent/controller-link/uplink.ts";
import { defaultCaps } from "../../../node-agent/tables/ageing.ts";
import { processClock } from "../../agent-core.ts";
import { ipBatch, run } from "../../lab/command.ts";
import { ethernet, etherTypes, ipPacket } from "../../lab/frames.ts";
import { Namespace } from "../../lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { pause } from "../../lab/wait.ts";
import { median } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import { answerFor, CoreHost, placeOf, vni, vteps } from "../core-host.ts";
import type { Progress } from "../progress.ts";
import { Uses, vmOfRank, Zipf } from "./zipf.ts";

export interface HostStateOptions {
  /** Registered VMs, one size after the other. */
  readonly vms: readonly number[];
  /** Idle timeout, s. */
  readonly idle: number;
  /** Packets a second. */
  readonly rate: number;
  /** VMs by which popularity moves on in an idle timeout. */
  readonly drift: number;
  /** Most kernel entries of a kind : addresses used within the idle timeout. */
  readonly entries: number;
}

export interface SizeResult {
  readonly vms: number;
  readonly packets: number;
  /** Answers that a miss would have brought. */
  readonly answers: number;
  /** Of all looks from the first idle timeout on, medians: VMs used within the idle timeout, and entries of the kind that has most. */
  readonly used: number;
  readonly entries: number;
  /** entries : used. */
  readonly ratio: { readonly median: number; readonly max: number };
}

export interface HostStateResult extends Omit<HostStateOptions, "vms" | "entries"> {
  readonly sizes: readonly SizeResult[];
  readonly missed: readonly string[];
}

interface Look {
  readonly used: number;
  readonly entries: number;
}

const idleTimeouts = 3;
const looksPerTimeout = 12;
const tickMs = 10;
const guest = { mac: "52:54:fe:00:00:01", ip: "10.255.255.254", port: "guest-port", device: "guest" } as const;

export async function hostStateBench(options: HostStateOptions, progress: Progress): Promise<HostStateResult> {
  const { vms, entries, ...rest } = options;
  const sizes: SizeResult[] = [];
  for (const each of vms) sizes.push(await measureSize(each, options, progress));
  const bounds = sizes.map(({ vms, ratio }) => ({
    what: `kernel entries : addresses used, with ${vms.toLocaleString("en")} VMs and at worst,`,
    ratio: ratio.max,
    most: entries,
  }));
  return { ...rest, sizes, missed: missedOf(bounds) };
}

async function measureSize(
  vms: number,
  { idle, rate, drift }: HostStateOptions,
  progress: Progress,
): Promise<SizeResult> {
  const idleMs = idle * 1_000;
  const uplink = new Uplink();
  uplink.attach({ isLive: true, send: () => true });
  const clock = { ...processClock, random: Math.random };
  const host = await CoreHost.start(0, { caps: defaultCaps, idleMs, uplink, clock });
  let socket: PacketSocket | undefined;
  try {
    socket = await plugIn(host);
    const zipf = new Zipf(vms);
    const uses = new Uses();
    const looks: Look[] = [];
    let [packets, answers] = [0, 0];
    const beginMs = performance.now();
    const endMs = beginMs + idleTimeouts * idleMs;
    const lookEveryMs = idleMs / looksPerTimeout;
    // The first idle timeout fills the tables.
    let lookMs = beginMs + idleMs;
    for (let nowMs = beginMs; nowMs < endMs; nowMs = performance.now()) {
      const sinceMs = nowMs - beginMs;
      const shift = Math.floor((drift * sinceMs) / idleMs);
      for (; packets < (rate * sinceMs) / 1_000; packets++) {
        const vm = vmOfRank(zipf.rank(Math.random()), shift, vms);
        if (await know(host, vm)) answers += 1;
        socket.inject(packetTo(vm));
        uses.use(vm, performance.now());
      }
      if (nowMs >= lookMs) {
        progress(`${vms} VMs: ${Math.round(sinceMs / 1_000)} of ${idleTimeouts * idle} s`);
        const entries = await countEntries(host);
        // Counting takes a while, in which nothing is sent and entries go: both sides as of its middle.
        const middleMs = (nowMs + performance.now()) / 2;
        looks.push({ entries, used: uses.since(middleMs - idleMs) });
        lookMs += lookEveryMs;
      }
      await pause(tickMs);
    }
    return { vms, packets, answers, ...summarize(looks) };
  } finally {
    socket?.close();
    await host.remove();
  }
}

/** A guest on the host's bridge, and an underlay that takes all and answers nothing. */
async function plugIn(host: CoreHost): Promise<PacketSocket> {
  await ipBatch(
    [
      `link add ${guest.port} type veth peer name ${guest.device}`,
      `link set ${guest.port} master ${host.bridge} up`,
      `link set ${guest.device} address ${guest.mac} up`,
      ...vteps.map((vtep) => `neigh replace ${vtep} lladdr 02:00:00:00:00:02 dev under nud permanent`),
    ],
    host.namespace,
  );
  return await openPacketSocket(new Namespace(host.namespace), guest.device);
}

/** @returns whether it was missing, as a miss would have shown */
async function know({ core }: CoreHost, vm: number): Promise<boolean> {
  const { ip } = placeOf(vm);
  if (core.held.find({ kind: "ip", vni, ip })) return false;
  await core.writer.take([answerFor(vm)], "asked").programmed;
  return true;
}

function packetTo(vm: number): Buffer {
  const { mac, ip } = placeOf(vm);
  const payload = ipPacket({ from: guest.ip, to: ip, protocol: 253, payload: Buffer.alloc(8) });
  return ethernet({ to: mac, from: guest.mac, type: etherTypes.ipv4, payload });
}

/** As iproute2 shows them: of neighbours, tunnel and bridge entries those of which there are most. */
async function countEntries({ namespace, device }: CoreHost): Promise<number> {
  const [neighbours, fdb] = await Promise.all([
    run(["ip", "-n", namespace, "neigh", "show", "dev", device]),
    run(["bridge", "-n", namespace, "fdb", "show", "dev", device]),
  ]);
  const vmLines = (text: string) => text.split("\n").filter((line) => line.includes("52:54:00:"));
  const [bridged, tunnels] = [vmLines(fdb).filter((line) => line.includes(" master ")), vmLines(fdb)];
  return Math.max(vmLines(neighbours).length, bridged.length, tunnels.length - bridged.length);
}

/** @param looks with at least one packet before */
export function summarize(looks: readonly Look[]): Pick<SizeResult, "used" | "entries" | "ratio"> {
  const ratios = looks.map(({ entries, used }) => entries / used);
  return {
    used: median(looks.map(({ used }) => used)),
    entries: median(looks.map(({ entries }) => entries)),
    ratio: { median: toThousandths(median(ratios)), max: toThousandths(Math.max(...ratios)) },
  };
}
