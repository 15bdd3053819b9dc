// A guest: a namespace with one network card, as quiet as a VM that has booted long ago. The card's other end is a port
// of its network's bridge on a host, as a tap would be.
import { ipBatch } from "./command.ts";
import { rarpAnnouncement } from "./frames.ts";
import { deleteNamespaces, Namespace } from "./namespace.ts";
import { openPacketSocket } from "./packets.ts";
import { type ContinuousPing, type PingOptions, type PingResult, ping, startPing } from "./ping.ts";
import { settled } from "./underlay.ts";
import { patienceMs, waitFor } from "./wait.ts";

export interface GuestOptions {
  /** Unique in the lab. */
  readonly name: string;
  readonly vni: number;
  readonly mac: string;
  /** With prefix length: "10.20.1.1/24", "fd00:20::1/64". */
  readonly ips: readonly string[];
  /** Default 1450. */
  readonly mtu?: number;
  /** Name of the bridge port on the host, default `vnet<n>`. */
  readonly port?: string;
  /** Bridge to be a port of, default the agent's. */
  readonly bridge?: string;
}

/** The guest's view of its host. */
export type GuestHost = Namespace & { readonly name: string };

export interface MoveOptions {
  /** Runs while the guest is on neither host: between pausing it here and resuming it there. */
  readonly during?: () => Promise<unknown>;
  /** For the bridge on the other host, default `patienceMs`. */
  readonly deadlineMs?: number;
}

export const guestDevice = "eth0";

export function bridgeOf(vni: number): string {
  return `nmb${vni}`;
}

/** The agent makes the bridge; the guest waits for it as a hypervisor would. @throws WaitError */
export async function waitForBridge(host: GuestHost, bridge: string, deadlineMs = patienceMs): Promise<void> {
  await waitFor(() => host.interfaces().includes(bridge), {
    what: `bridge ${bridge} on host ${host.name} (the agent makes it)`,
    deadlineMs,
  });
}

export class Guest extends Namespace {
  readonly name: string;
  readonly mac: string;
  readonly vni: number;
  readonly port: string;
  /** On each host that it moves to. */
  readonly bridge: string;
  /** Without prefix lengths, in the order given. */
  readonly ips: readonly string[];
  #host: GuestHost;
  #removed: Promise<void> | undefined;

  constructor(
    namespace: string,
    host: GuestHost,
    options: GuestOptions & { readonly port: string },
    readonly onRemoved: (guest: Guest) => void,
  ) {
    super(namespace);
    this.#host = host;
    this.name = options.name;
    this.mac = options.mac;
    this.vni = options.vni;
    this.port = options.port;
    this.bridge = options.bridge ?? bridgeOf(options.vni);
    this.ips = options.ips.map((ip) => ip.split("/")[0] ?? ip);
  }

  /** Where it runs. */
  get host(): GuestHost {
    return this.#host;
  }

  ping(ip: string, options?: PingOptions): Promise<PingResult> {
    return ping(this, ip, options);
  }

  startPing(ip: string, options?: Omit<PingOptions, "count">): ContinuousPing {
    return startPing(this, ip, options);
  }

  /** Clears all neighbours, so that the next packet asks again. */
  async forgetNeighbours(): Promise<void> {
    await this.ip("neigh flush all");
  }

  /** How its kernel asks for a neighbour: so often, with this pause. The default is three times, with a second. */
  askEvery(ms: number, times = 3): void {
    for (const family of ["ipv4", "ipv6"]) {
      this.sysctl(`${family}/neigh/${guestDevice}/retrans_time_ms`, ms);
      this.sysctl(`${family}/neigh/${guestDevice}/mcast_solicit`, times);
    }
  }

  /** An answer within our patience cannot be that of the guest's own retry. */
  askOnce(): void {
    this.askEvery(2 * patienceMs);
  }

  /**
   * Like a live migration: memory, addresses and card go along; the cable is plugged into the other host's bridge, and
   * the hypervisor announces the card there as QEMU does. Waits for the bridge before it unplugs anything.
   */
  async moveTo(host: GuestHost, options: MoveOptions = {}): Promise<void> {
    if (host === this.#host) return;
    await waitForBridge(host, this.bridge, options.deadlineMs);
    await this.#host.ip(`link set ${this.port} nomaster`, `link set ${this.port} netns ${host.namespace}`);
    this.#host = host;
    await Promise.all([options.during?.(), host.ip(...plugIn(this.port, this.bridge))]);
    await this.ip(settled(guestDevice));
    const socket = await openPacketSocket(this, guestDevice);
    try {
      socket.inject(rarpAnnouncement(this.mac));
    } finally {
      socket.close();
    }
  }

  /**
   * The host's end is deleted first: a namespace's devices are removed some time after it, a deleted device at once.
   */
  remove(): Promise<void> {
    this.#removed ??= (async () => {
      if (this.#host.interfaces().includes(this.port)) await this.#host.ip(`link del ${this.port}`);
      await deleteNamespaces([this.namespace]);
      this.onRemoved(this);
    })();
    return this.#removed;
  }
}

/** Run on the host. A port with a link-local address would make the host send on the guests' network. */
function plugIn(port: string, bridge: string): string[] {
  return [
    `link set ${port} addrgenmode none`,
    `link set ${port} master ${bridge}`,
    `link set ${port} up`,
    settled(port),
  ];
}

/** Builds the namespace, its card and the port; `guest.namespace` must not exist yet. */
export async function bootGuest(guest: Guest, options: GuestOptions): Promise<void> {
  const { host, port, namespace } = guest;
  await waitForBridge(host, guest.bridge);
  // Not on the host: inside a namespace `ip` has its own mounts, and the new one would be invisible elsewhere.
  await ipBatch([`netns add ${namespace}`]);
  // New devices inherit the defaults: no duplicate address detection, no router solicitations.
  for (const each of ["all", "default"]) {
    guest.sysctl(`ipv6/conf/${each}/disable_ipv6`, 0);
    guest.sysctl(`ipv6/conf/${each}/accept_dad`, 0);
    guest.sysctl(`ipv6/conf/${each}/router_solicitations`, 0);
    guest.sysctl(`ipv6/conf/${each}/accept_ra`, 0);
    // A VM that migrates does not see its cable pulled, so it remembers its neighbours (Linux 5.16; before, it forgets).
    guest.sysctl(`ipv4/conf/${each}/arp_evict_nocarrier`, 0, { optional: true });
    guest.sysctl(`ipv6/conf/${each}/ndisc_evict_nocarrier`, 0, { optional: true });
  }
  const mtu = options.mtu ?? 1_450;
  await host.ip(
    `link add name ${port} mtu ${mtu} type veth peer name ${guestDevice} mtu ${mtu} address ${guest.mac} netns ${namespace}`,
    ...plugIn(port, guest.bridge),
  );
  await guest.ip(
    "link set lo up",
    ...options.ips.map((ip) => `addr add ${ip} dev ${guestDevice}${ip.includes(":") ? " nodad" : ""}`),
    `link set ${guestDevice} up`,
    settled(guestDevice),
  );
  await host.ip(settled(port));
}
