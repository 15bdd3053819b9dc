// Moves by FRR: BGP EVPN in a full mesh of three hosts. A VM moves when the bridge of another host hears it, as after a live migration.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../lab/command.ts";
import { rarpAnnouncement } from "../../lab/frames.ts";
import type { Host } from "../../lab/host.ts";
import { createLab, type Lab } from "../../lab/lab.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { LabProcess } from "../../lab/process.ts";
import { waitFor, waitUntil } from "../../lab/wait.ts";
import { EntryWatch } from "./entry-watch.ts";
import type { Mover } from "./mover.ts";

/** Where Debian's package has them. */
const programs = "/usr/lib/frr";
/** What is printed in place of a figure. */
export const absentFrr = "absent: FRR is not installed";
const mac = "52:54:00:00:30:01";
const devices = { bridge: "br300", tunnel: "vx300", port: "port", guest: "guest" } as const;

export class FrrMover implements Mover {
  private at = 0;
  private hasMoved = false;

  private constructor(
    private readonly lab: Lab,
    private readonly guests: readonly PacketSocket[],
    private readonly watch: EntryWatch,
  ) {}

  /** @returns undefined where it is not installed */
  static async start(): Promise<FrrMover | undefined> {
    if (!["zebra", "bgpd"].every((name) => existsSync(join(programs, name)))) return undefined;
    const lab = await createLab({ hosts: 3, underlay: 4 });
    const guests: PacketSocket[] = [];
    try {
      for (const host of lab.hosts) await makeDevices(host);
      const [owner] = (await run(["id", "-u", "frr"])).split("\n");
      for (const program of ["zebra", "bgpd"] as const) {
        for (const host of lab.hosts) await start(lab, host, program, owner ?? "");
      }
      for (const host of lab.hosts.slice(0, 2)) guests.push(await openPacketSocket(host, devices.guest));
      const [, , third] = lab.hosts;
      if (!third) throw new Error("three hosts");
      await waitUntil(
        () => tunnelEntries(third),
        (entries) => lab.hosts.slice(0, 2).every(({ address }) => entries.includes(address)),
        { what: "BGP to be established", deadlineMs: 60_000 },
      );
      const mover = new FrrMover(lab, guests, new EntryWatch(third.namespace));
      await mover.move();
      return mover;
    } catch (error) {
      for (const socket of guests) socket.close();
      await lab.remove();
      throw error;
    }
  }

  async move(): Promise<number> {
    const to = 1 - this.at;
    const [host, guest] = [this.lab.hosts[to], this.guests[to]];
    if (!host || !guest) throw new Error("two hosts with a guest");
    // A host that does not know yet that the VM has left it would not notice that it is back.
    if (this.hasMoved) {
      const isRemote = async () => (await tunnelEntries(host)).includes(mac);
      await waitFor(isRemote, { what: `${host.name} to know that the VM is elsewhere` });
    }
    const seen = this.watch.next(mac, host.address);
    const startMs = performance.now();
    guest.inject(rarpAnnouncement(mac));
    [this.at, this.hasMoved] = [to, true];
    return (await seen) - startMs;
  }

  async remove(): Promise<void> {
    this.watch.close();
    for (const socket of this.guests) socket.close();
    await this.lab.remove();
  }
}

function tunnelEntries({ namespace }: Host): Promise<string> {
  return run(["bridge", "-n", namespace, "fdb", "show", "dev", devices.tunnel]);
}

async function makeDevices(host: Host): Promise<void> {
  const { bridge, tunnel, port, guest } = devices;
  await host.ip(
    `link add ${bridge} type bridge`,
    `link add ${tunnel} type vxlan id 300 local ${host.address} dstport 4789 nolearning`,
    `link add ${port} type veth peer name ${guest}`,
    ...[bridge, tunnel, port, guest].map((device) => `link set ${device} addrgenmode none`),
    ...[tunnel, port].map((device) => `link set ${device} master ${bridge}`),
    ...[bridge, tunnel, port, guest].map((device) => `link set ${device} up`),
  );
  await host.exec(["bridge", "link", "set", "dev", tunnel, "neigh_suppress", "on", "learning", "off"]);
}

/** In a directory of its own: it would take that of the machine's for its own otherwise. */
async function start(lab: Lab, host: Host, program: "zebra" | "bgpd", owner: string): Promise<void> {
  const directory = join(lab.directory, `frr-${host.name}`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "frr.conf");
  writeFileSync(file, configOf(lab, host));
  await run(["chown", "-R", owner, lab.directory]);
  const args = ["-f", file, "-i", join(directory, `${program}.pid`), "-z", join(directory, "zserv.api")];
  const console = ["--vty_socket", directory, "-A", "127.0.0.1", "-P", "0", "--log", "stdout"];
  const running = new LabProcess(program, host, [join(programs, program), ...args, ...console]);
  const socket = join(directory, `${program}.vty`);
  await waitFor(() => existsSync(socket) || !running.running, { what: `${program} on ${host.name}` });
  if (!running.running) throw new Error(running.describe("ended"));
}

function configOf({ hosts }: Lab, host: Host): string {
  const others = hosts.filter((each) => each !== host).map(({ address }) => address);
  return [
    "frr defaults datacenter",
    `hostname ${host.name}`,
    "router bgp 65000",
    ` bgp router-id ${host.address}`,
    ...others.flatMap((address) => [` neighbor ${address} remote-as 65000`, ` neighbor ${address} timers connect 1`]),
    " address-family l2vpn evpn",
    ...others.map((address) => `  neighbor ${address} activate`),
    "  advertise-all-vni",
    "  no dup-addr-detection",
    " exit-address-family",
    "",
  ].join("\n");
}
