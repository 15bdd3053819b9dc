// `broadcast`: where copies of a guest's broadcasts go, counted as they leave its host: of a network with broadcast replicate and two member
// hosts, and of a device that floods, with the same hosts.
import { broadcastMac, ethernet, etherTypes, findVxlan, readEthernet, udpPacket } from "../../lab/frames.ts";
import { type Guest, guestDevice } from "../../lab/guest.ts";
import { createLab, type Lab } from "../../lab/lab.ts";
import { openPacketSocket } from "../../lab/packets.ts";
import { underlayDevice } from "../../lab/underlay.ts";
import { waitFor } from "../../lab/wait.ts";
import { Addresses, type Endpoint, network } from "../addresses.ts";
import { tunnel } from "../modes/devices.ts";
import { floodAndLearnMode } from "../modes/flood-and-learn.ts";
import { call, registerVm, untilConnected } from "../modes/nearmiss.ts";
import type { Progress } from "../progress.ts";
import { become, bootQuietGuest } from "../quiet-guest.ts";

export interface BroadcastOptions {
  /** Numbers of hosts, of which two have a VM in the network. */
  readonly hosts: readonly number[];
  /** Broadcasts that one guest sends. */
  readonly frames: number;
}

const sides = ["nearmiss", "flooding"] as const;
type Side = (typeof sides)[number];

export interface BroadcastRow {
  readonly side: Side;
  readonly hosts: number;
  readonly frames: number;
  /** That left the sender's host, by where to. */
  readonly toMember: number;
  readonly toOthers: number;
  /** That the guest on the other member host has. */
  readonly received: number;
  /** Processor time of sending, copies included, µs a frame; the kernel makes them in the sender's context. */
  readonly usPerFrame: number;
}

export interface BroadcastResult {
  readonly rows: readonly BroadcastRow[];
  /** What is not as it should be with nearmiss. */
  readonly missed: readonly string[];
}

export async function broadcastBench(
  { hosts, frames }: BroadcastOptions,
  progress: Progress,
): Promise<BroadcastResult> {
  const rows: BroadcastRow[] = [];
  for (const count of hosts) {
    for (const side of sides) {
      progress(`${side} with ${count} hosts`);
      rows.push(await measure(side, count, frames));
    }
  }
  return { rows, missed: missedIn(rows) };
}

export function missedIn(rows: readonly BroadcastRow[]): string[] {
  return rows.flatMap(({ side, hosts, frames, toMember, toOthers, received }) => {
    if (side !== "nearmiss") return [];
    const found: string[] = [];
    if (toOthers > 0) found.push(`${hosts} hosts: ${toOthers} copies to hosts without a member`);
    if (toMember !== frames || received !== frames)
      found.push(
        `${hosts} hosts: of ${frames} broadcasts ${toMember} were copied to the other member, and ${received} arrived`,
      );
    return found;
  });
}

async function measure(side: Side, count: number, frames: number): Promise<BroadcastRow> {
  const lab = await createLab({ hosts: count, underlay: 4 });
  try {
    const addresses = new Addresses();
    const ends = [addresses.fresh(4), addresses.fresh(4)];
    await (side === "nearmiss" ? prepareNearmiss(lab, ends) : floodAndLearnMode.prepare(lab));
    const [sender, receiver] = await Promise.all(ends.map((end, i) => bootMember(lab, end, i)));
    if (!sender || !receiver) throw new Error("a broadcast needs two guests");
    return { side, hosts: count, frames, ...(await send(lab, sender, receiver, ends[0] as Endpoint, frames)) };
  } finally {
    await lab.remove();
  }
}

/** The limit is for guests that do harm: here one sends as fast as it can. */
const noLimit = ["--max-broadcast-copies", "1000000"];

async function prepareNearmiss(lab: Lab, ends: readonly Endpoint[]): Promise<void> {
  await lab.startController();
  for (const host of lab.hosts) host.startAgent({ logLevel: "info", extraArgs: noLimit });
  await untilConnected(lab);
  const { name, vni, subnets } = network;
  await call(lab, "PUT", `/v1/networks/${name}`, { vni, subnets, broadcast: "replicate" });
  for (const [i, end] of ends.entries())
    await registerVm(lab, end.name, memberOf(lab, i).name, { network: name, mac: end.mac, ips: [end.ip] });
  await waitFor(async () => (await destinationsOf(lab)) === 1 || undefined, {
    what: "the destination of broadcasts",
    deadlineMs: 60_000,
  });
}

function memberOf(lab: Lab, number: number) {
  const host = lab.hosts[number];
  if (!host) throw new RangeError(`the lab has ${lab.hosts.length} hosts`);
  return host;
}

async function bootMember(lab: Lab, end: Endpoint, number: number): Promise<Guest> {
  const guest = await bootQuietGuest(memberOf(lab, number), number);
  await become(guest, end);
  return guest;
}

/** Of broadcasts of the first host: those of the broadcast address, or of everything that is not known. */
async function destinationsOf(lab: Lab): Promise<number> {
  const fdb = await memberOf(lab, 0).exec(["bridge", "fdb", "show", "dev", tunnel]);
  return fdb.split("\n").filter((line) => /^(ff:ff:ff:ff:ff:ff|00:00:00:00:00:00) dst /.test(line)).length;
}

type Counts = Pick<BroadcastRow, "toMember" | "toOthers" | "received" | "usPerFrame">;

async function send(lab: Lab, sender: Guest, receiver: Guest, from: Endpoint, frames: number): Promise<Counts> {
  const sockets = await Promise.all([
    openPacketSocket(sender, guestDevice),
    openPacketSocket(receiver, guestDevice),
    openPacketSocket(memberOf(lab, 0), underlayDevice),
  ]);
  const [out, ear, wire] = sockets;
  if (!out || !ear || !wire) throw new Error("no sockets");
  try {
    const copies = await destinationsOf(lab);
    const framed = broadcastOf(from, "measured broadcast");
    const before = process.cpuUsage();
    for (let n = 0; n < frames; n++) out.inject(framed);
    const { user, system } = process.cpuUsage(before);
    const isCopyOf = (text: string) => (frame: { readonly bytes: Buffer; readonly outgoing: boolean }) =>
      frame.outgoing && frame.bytes.includes(text) && findVxlan(frame.bytes) !== undefined;
    out.inject(broadcastOf(from, "last broadcast"));
    await waitFor(() => wire.frames().filter(isCopyOf("last broadcast")).length === copies || undefined, {
      what: "the last copy",
    });
    await ear.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.includes("last broadcast"));
    const sent = wire.frames().filter(isCopyOf("measured broadcast"));
    const macOfMember = (await memberOf(lab, 1).exec(["cat", `/sys/class/net/${underlayDevice}/address`])).trim();
    const toMember = sent.filter(({ bytes }) => readEthernet(bytes).to === macOfMember).length;
    const received = ear
      .frames()
      .filter(({ bytes, outgoing }) => !outgoing && bytes.includes("measured broadcast")).length;
    return { toMember, toOthers: sent.length - toMember, received, usPerFrame: (user + system) / frames };
  } finally {
    for (const socket of sockets) socket.close();
  }
}

function broadcastOf({ mac, ip }: Endpoint, text: string): Buffer {
  const payload = udpPacket({ from: ip, to: "255.255.255.255", fromPort: 9, toPort: 9, payload: Buffer.from(text) });
  return ethernet({ to: broadcastMac, from: mac, type: etherTypes.ipv4, payload });
}
