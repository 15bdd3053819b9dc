// Where faults happen: three hosts with the same two networks, whose addresses overlap; guests that talk all the time; and
// VMs without a guest, which are only looked up, moved and deleted.
import { defined } from "../../common/defined.ts";
import type { ApiReply } from "../lab/api.ts";
import { arp } from "../lab/frames.ts";
import { type Guest, guestDevice } from "../lab/guest.ts";
import type { Host } from "../lab/host.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import { openPacketSocket } from "../lab/packets.ts";
import type { ContinuousPing } from "../lab/ping.ts";
import type { LabProcess } from "../lab/process.ts";
import type { ProgramOptions } from "../lab/programs.ts";
import { patienceMs, waitFor, waitUntil } from "../lab/wait.ts";
import { dumpOf } from "./dump.ts";
import { LeakWatch } from "./leaks.ts";
import { deviations, remoteIps, type Truth, type TruthSource, truthOf } from "./truth.ts";

export const blue = 100;
export const red = 200;
/** Blue's, on each host. */
export const tunnel = `nmv${blue}`;
const subnets = ["10.20.0.0/16", "fd00:20::/64"];
/** The MAC prefixes of each network. */
const prefixes = { [blue]: "52:54:b1", [red]: "52:54:4e" } as const;
/** Nothing is evicted during a fault: entries of before must be there afterwards. */
export const agentArgs = ["--idle-timeout", "off"] as const;

/** The cached addresses of each host, by host and VNI. */
export type Held = ReadonlyMap<string, ReadonlyMap<number, readonly string[]>>;

export interface Flow {
  readonly name: string;
  readonly ping: ContinuousPing;
}

export interface SceneOptions extends Pick<ProgramOptions, "preload"> {
  /** Default 3. */
  readonly hosts?: number;
}

export class Scene {
  /** In blue, on hosts a, b and c. */
  readonly guests: Guest[] = [];
  private leaks: LeakWatch | undefined;
  private numbers = 16;

  private constructor(
    readonly lab: Lab,
    /** What every program loads before it starts (`node --import`). */
    private readonly programs: Pick<ProgramOptions, "preload">,
  ) {}

  static async build({ hosts = 3, ...programs }: SceneOptions = {}): Promise<Scene> {
    const scene = new Scene(await createLab({ hosts, underlay: 4 }), programs);
    try {
      await scene.furnish();
      return scene;
    } catch (error) {
      await scene.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    this.leaks?.close();
    await this.lab.remove();
  }

  host(name: string): Host {
    return this.lab.host(name);
  }

  guest(number: 0 | 1 | 2): Guest {
    const guest = this.guests[number];
    if (!guest) throw new RangeError(`the scene has no guest ${number}`);
    return guest;
  }

  /** @throws Error unless it succeeds */
  async call<Body = unknown>(method: string, path: string, body?: unknown): Promise<Body> {
    const reply = await this.lab.api<Body>(method, path, body);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /** All pages of a list. */
  async list<Name extends keyof TruthSource>(name: Name): Promise<TruthSource[Name]> {
    const items: TruthSource[Name][number][] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ limit: "1000", ...defined({ cursor }) });
      const page = await this.call<Record<Name, TruthSource[Name]> & { next?: string }>("GET", `/v1/${name}?${query}`);
      items.push(...page[name]);
      cursor = page.next;
    } while (cursor !== undefined);
    return items as unknown as TruthSource[Name];
  }

  api(method: string, path: string, body?: unknown): Promise<ApiReply> {
    return this.lab.api(method, path, body);
  }

  startAgent(host: string, options: Pick<ProgramOptions, "preload"> = {}): LabProcess {
    return this.host(host).startAgent({ extraArgs: agentArgs, ...this.programs, ...options });
  }

  /** Resolves when it listens. */
  startController(options: ProgramOptions = {}): Promise<LabProcess> {
    return this.lab.startController({ ...this.programs, ...options });
  }

  /** The agent that runs now has had a whole snapshot. */
  async inStep(host: string): Promise<void> {
    const { agent } = this.host(host);
    await agent.waitForLog(
      (line) => line.msg === "in sync with the controller",
      `${host} to be in sync with the controller`,
    );
  }

  async isConnected(host: string): Promise<boolean> {
    return (await this.call<{ connected: boolean }>("GET", `/v1/hosts/${host}`)).connected;
  }

  async allConnected(): Promise<void> {
    for (const { name } of this.lab.hosts) {
      await waitFor(() => this.isConnected(name), { what: `host ${name} to be connected`, everyMs: 20 });
    }
  }

  /** Numbers that no VM of the scene has had. */
  numbersFrom(count: number): number[] {
    const first = this.numbers;
    this.numbers += count;
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Registers a VM without a guest: interfaces in blue, one per number, with an IPv4 and an IPv6 address each. */
  async registerPeer(name: string, host: string, numbers: readonly number[]): Promise<void> {
    const interfaces = numbers.map((n) => ({ network: "blue", mac: macOf(blue, n), ips: ipsOf(n) }));
    await this.call("POST", "/v1/vms", { name, host, interfaces });
  }

  /** All whose name begins so. */
  async deleteVms(prefix: string): Promise<void> {
    const named = (await this.list("vms")).filter(({ name }) => name.startsWith(prefix));
    await inWindows(named, ({ name }) => this.call("DELETE", `/v1/vms/${name}`));
  }

  /** A guest asks for each of these, as fast as it can, without waiting for answers. */
  async ask(guest: Guest, ips: readonly string[]): Promise<void> {
    const socket = await openPacketSocket(guest, guestDevice);
    const senderIp = guest.ips[0] ?? "";
    try {
      for (const targetIp of ips) {
        socket.inject(arp({ operation: "request", senderMac: guest.mac, senderIp, targetIp }));
      }
    } finally {
      socket.close();
    }
  }

  /** Addresses in blue that a host has cached. */
  async heldOn(host: string): Promise<ReadonlySet<string>> {
    return new Set((await dumpOf(this.host(host), blue)).neighbours.map(({ ip }) => ip));
  }

  /** Waits until a host has cached all of these. */
  async holds(host: string, ips: readonly string[], deadlineMs = patienceMs): Promise<void> {
    await waitUntil(
      async () => {
        const held = await this.heldOn(host);
        return ips.filter((ip) => !held.has(ip)).length;
      },
      (missing) => missing === 0,
      { what: `host ${host} to hold ${ips.length} addresses (missing are)`, deadlineMs, everyMs: 50 },
    );
  }

  startFlows(intervalMs: number): Flow[] {
    const [a, b, c] = [this.guest(0), this.guest(1), this.guest(2)];
    const flow = (from: Guest, to: Guest, family: 0 | 1): Flow => ({
      name: `${from.name} → ${to.name} over IPv${family === 0 ? 4 : 6}`,
      ping: from.startPing(to.ips[family] ?? "", { intervalMs }),
    });
    return [flow(a, b, 0), flow(a, b, 1), flow(c, b, 0), flow(c, a, 1)];
  }

  async truth(): Promise<Truth> {
    const [networks, hosts, vms] = await Promise.all([this.list("networks"), this.list("hosts"), this.list("vms")]);
    return truthOf({ networks, hosts, vms });
  }

  async held(): Promise<Held> {
    const truth = await this.truth();
    const perHost = this.lab.hosts.map(async (host): Promise<[string, Map<number, string[]>]> => {
      const perNetwork = [...truth].map(async ([vni, facts]): Promise<[number, string[]]> => {
        const ips = (await dumpOf(host, vni)).neighbours.map(({ ip }) => ip);
        return [vni, remoteIps(facts, host.name, ips)];
      });
      return [host.name, new Map(await Promise.all(perNetwork))];
    });
    return new Map(await Promise.all(perHost));
  }

  /** The faults in the kernels of all hosts, by the inventory and by the entries before. */
  async deviations(held: Held): Promise<string[]> {
    const truth = await this.truth();
    const wrong: string[] = [];
    for (const host of this.lab.hosts) {
      for (const [vni, facts] of truth) {
        const mustHold = held.get(host.name)?.get(vni) ?? [];
        const found = deviations(facts, host.name, await dumpOf(host, vni), mustHold);
        wrong.push(...found.map((text) => `host ${host.name}, VNI ${vni}: ${text}`));
      }
    }
    return wrong;
  }

  takeLeaks(): string[] {
    return this.leaks?.take() ?? [];
  }

  private async furnish(): Promise<void> {
    await this.startController();
    for (const { name } of this.lab.hosts) this.startAgent(name);
    await this.allConnected();
    for (const [name, vni] of [
      ["blue", blue],
      ["red", red],
    ] as const) {
      await this.call("PUT", `/v1/networks/${name}`, { vni, subnets });
    }
    const reds: Guest[] = [];
    for (const [i, { name }] of this.lab.hosts.entries()) {
      this.guests.push(await this.bootVm(`blue-${name}`, name, "blue", blue, i + 1));
      reds.push(await this.bootVm(`red-${name}`, name, "red", red, i + 1));
    }
    this.leaks = await LeakWatch.open(reds, prefixes[blue]);
    const [first, second] = reds;
    if (!first || !second) throw new Error("the scene has no red guests");
    const { received } = await first.ping(second.ips[0] ?? "");
    const seen = this.takeLeaks();
    if (received !== 1 || this.leaks.own === 0 || seen.length > 0) throw new Error(`red does not work: ${seen.join()}`);
  }

  /** Registers a VM and boots its guest. */
  async bootVm(name: string, host: string, network: string, vni: typeof blue | typeof red, n: number): Promise<Guest> {
    const mac = macOf(vni, n);
    const interfaces = [{ network, mac, ips: ipsOf(n) }];
    const vm = await this.call<{ ready: boolean }>("POST", "/v1/vms?wait=ready", { name, host, interfaces });
    if (!vm.ready) throw new Error(`host ${host} is not ready for ${name}: ${JSON.stringify(vm)}`);
    const [v4, v6] = ipsOf(n);
    return this.host(host).addGuest({ name, vni, mac, ips: [`${v4}/16`, `${v6}/64`] });
  }
}

/** @param n 1 … 16,383 */
export function ipsOf(n: number): [string, string] {
  return [`10.20.${n >> 8}.${n & 255}`, `fd00:20::${n.toString(16)}`];
}

export function macOf(vni: typeof blue | typeof red, n: number): string {
  const digits = n.toString(16).padStart(6, "0");
  return `${prefixes[vni]}:${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4)}`;
}

/** Calls at one time. */
const windowSize = 16;

export async function inWindows<T>(items: readonly T[], act: (item: T, i: number) => Promise<unknown>): Promise<void> {
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of left) await act(item, i);
  };
  await Promise.all(Array.from({ length: windowSize }, worker));
}
