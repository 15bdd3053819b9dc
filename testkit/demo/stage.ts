// What every chapter works with: the lab, the guests by name, and the few things that all chapters do.
import type { Guest } from "../lab/guest.ts";
import type { Lab } from "../lab/lab.ts";
import type { PingResult } from "../lab/ping.ts";
import { median } from "../statistics.ts";
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
  #explained = false;

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

  /** One packet, which may have to wait for its answer, then three that need not. Checks that none was lost. */
  async talk(from: CastMember, to: CastMember, ip: string): Promise<void> {
    const guest = this.guest(from);
    const first = await guest.ping(ip, { count: 1, deadlineS: 5 });
    const rest = await guest.ping(ip, { count: 3, intervalMs: 50 });
    await this.watch.settled();
    this.count(first, rest);
    const received = first.received + rest.received;
    const [firstMs] = first.rtts;
    const times =
      firstMs === undefined || rest.rtts.length === 0
        ? `${received} of 4 packets answered`
        : `the first packet took ${formatMs(firstMs)}, the next ones ${formatMs(median(rest.rtts))}`;
    this.checks.expect(`${from.name} reaches ${to.name} at ${ip}`, received === 4, times);
    if (firstMs === undefined) return;
    if (firstMs > retryMs) this.#explainWait();
    else this.#explainSpeed();
  }

  /** Adds to the packets of conversations that ought to work. */
  count(...results: readonly PingResult[]): void {
    for (const { sent, received } of results) {
      this.packets.sent += sent;
      this.packets.received += received;
    }
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

  #explainSpeed(): void {
    if (this.#explained) return;
    this.#explained = true;
    this.story.blank();
    this.story.say(
      "The kernel drops a guest's question when it misses, and without help the guest repeats it only after a second, on " +
        "each side. So the agent answers the waiting guest at once, and the controller sends the guest's own address to " +
        "the other host at the same time: the return path does not miss.",
    );
  }

  #explainWait(): void {
    if (this.#explained) return;
    this.#explained = true;
    this.story.blank();
    this.story.say(
      "The answers took milliseconds, yet the first packet waited: the kernel drops the guest's question when it " +
        "misses, and the guest repeats it only after a second, here once on each side. The packet is late, not lost.",
    );
  }
}
