// Finds eBPF programs that others attach to devices of networks without a message of the kernel: by tcx, and XDP by a link of bpf(2). The network
// is checked again then, which makes them a condition. Devices are read when programs or links of bpf(2) have come or gone on the machine.
import { every, type Repetition } from "../../common/every.ts";
import { type Rate, TokenBucket } from "../../common/token-bucket.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { HostNetworks } from "../networks/host-networks.ts";

const everyMs = 1_000;
/** Of readings of all devices. Programs for tracing make and end objects of bpf(2) all the time. */
const readings: Rate = { perSecond: 0.1, burst: 60 };

export interface ProgramWatchDependencies {
  readonly devices: Pick<NetworkDevices, "vniOf" | "vniOfBridge">;
  readonly networks: Pick<HostNetworks, "look" | "lookAtPorts">;
  /** All links of this namespace. @throws NetlinkError */
  listLinks(): Promise<Link[]>;
  /** On a device. */
  countTcx(ifindex: number): number;
  /** Programs and links of bpf(2) on this machine, as text; undefined: the kernel does not show them, and a comparison finds them. */
  describeBpfObjects(): string | undefined;
  nowMs(): number;
}

export class ProgramWatch {
  private readonly timer: Repetition;
  private objects = "";
  /** Programs at devices, by ifindex, as last read. */
  private found: ReadonlyMap<number, string> = new Map();
  private readonly spent: TokenBucket;

  constructor(private readonly deps: ProgramWatchDependencies) {
    this.spent = new TokenBucket(readings, deps.nowMs());
    this.timer = every(everyMs, () => this.look(), { inStep: true });
  }

  close(): void {
    this.timer.stop();
  }

  private async look(): Promise<void> {
    const { describeBpfObjects, listLinks, nowMs } = this.deps;
    const objects = describeBpfObjects() ?? "";
    if (objects === this.objects || this.spent.waitMs(1, nowMs()) > 0) return;
    this.spent.spend(1, nowMs());
    try {
      this.follow(await listLinks());
      // An object that came since then is another one.
      this.objects = objects;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
    }
  }

  private follow(links: readonly Link[]): void {
    const { devices, countTcx } = this.deps;
    const before = this.found;
    const now = new Map<number, string>();
    for (const { ifindex, xdp } of links) {
      const tcx = devices.vniOf(ifindex) === undefined ? 0 : countTcx(ifindex);
      if (xdp || tcx > 0) now.set(ifindex, `${xdp ? "XDP " : ""}${tcx}`);
    }
    this.found = now;
    for (const link of links) if (before.get(link.ifindex) !== now.get(link.ifindex)) this.check(link);
  }

  private check({ ifindex, master }: Link): void {
    const { devices, networks } = this.deps;
    const vni = devices.vniOf(ifindex) ?? devices.vniOfBridge(ifindex);
    const ofPort = master === undefined ? undefined : devices.vniOfBridge(master);
    if (vni !== undefined) networks.look("device", vni);
    else if (ofPort !== undefined) networks.lookAtPorts(ofPort);
  }
}
