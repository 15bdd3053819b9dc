// What every chapter works with: the lab, the guests by name, and the few things that all chapters do.
import type { Guest } from "../lab/guest.ts";
import type { Lab } from "../lab/lab.ts";
import type { PingOptions, PingResult } from "../lab/ping.ts";
import type { CastMember, CastNetwork } from "./cast.ts";
import type { Checks } from "./checks.ts";
import { formatMs, type Story } from "./story.ts";
import type { Watch } from "./watch.ts";

/** Packets of conversations that ought to work; those sent to show a wall are not among them. */
export interface PacketCount {
  sent: number;
  received: number;
}

export interface MoveResult {
  readonly sent: number;
  readonly lost: number;
  /** Longest gap in the answers, ms. */
  readonly gapMs: number;
}

/** A step that must succeed for the story to go on. */
export class DemoError extends Error {
  override readonly name = "DemoError";
}

/** A ping slower than this has waited for the guest's own retry. */
const retryMs = 500;

export class Stage {
  readonly guests = new Map<string, Guest>();
  readonly packets: PacketCount = { sent: 0, received: 0 };
  move: MoveResult | undefined;

  constructor(
    readonly lab: Lab,
    readonly story: Story,
    readonly checks: Checks,
    readonly watch: Watch,
  ) {}

  /** @throws DemoError before it has booted */
  guest(member: CastMember): Guest {
    const guest = this.guests.get(member.name);
    if (!guest) throw new DemoError(`guest ${member.name} is not running`);
    return guest;
  }

  /** A call that must succeed. @throws DemoError with the controller's reason */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const reply = await this.lab.api<{ detail?: string; title?: string } | undefined>(method, path, body);
    if (reply.status >= 400) {
      const reason = reply.body?.detail ?? reply.body?.title ?? "no reason given";
      throw new DemoError(`${method} ${path} was refused with ${reply.status}: ${reason}`);
    }
    return reply.body;
  }

  /** Pings while the misses are told, checks that every packet was answered, and counts it. */
  async talk(from: CastMember, to: CastMember, ip: string, options: PingOptions = { count: 3 }): Promise<PingResult> {
    this.watch.telling = true;
    const result = await this.guest(from).ping(ip, options);
    this.watch.telling = false;
    this.packets.sent += result.sent;
    this.packets.received += result.received;
    const seen = `${result.received} of ${result.sent} answered${describeRtts(result.rtts)}`;
    this.checks.expect(`${from.name} reaches ${to.name} at ${ip}`, result.lost.length === 0, seen);
    return result;
  }

  /** Runs a command line on a host and shows it with its output, as anybody could type it. */
  async show(hostName: string, commandLine: string): Promise<string> {
    const host = this.lab.host(hostName);
    const output = await host.exec(["sh", "-c", `${commandLine} || true`]);
    this.story.command(`ip netns exec ${host.namespace} ${commandLine}`, output);
    return output;
  }

  /** The entries of a network on a host: neighbours, then the tunnel's and the bridge's forwarding entries. */
  async showTables(hostName: string, network: CastNetwork, only = "52:54:00"): Promise<string> {
    const neighbours = await this.show(hostName, `ip neigh show dev nmv${network.vni}`);
    const forwarding = await this.show(hostName, `bridge fdb show dev nmv${network.vni} | grep ${only}`);
    return neighbours + forwarding;
  }

  explainSlowFirstPacket(result: PingResult): void {
    if ((result.rtts[0] ?? 0) < retryMs) return;
    this.story.blank();
    this.story.say(
      "The answers took milliseconds, yet the first packet waited: the kernel swallows the guest's question when it " +
        "misses, and the guest repeats it only after a second, once on each side. The packet is late, not lost.",
    );
  }
}

/** "first after 1,006 ms, then 0.12 ms": the first is the one that had to wait. */
function describeRtts(rtts: readonly number[]): string {
  const [first, ...rest] = rtts;
  const last = rest.at(-1);
  if (first === undefined) return "";
  return last === undefined
    ? `, in ${formatMs(first)}`
    : `, the first in ${formatMs(first)}, the last in ${formatMs(last)}`;
}
