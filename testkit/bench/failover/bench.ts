// `failover`: how long an address of keepalived does not answer to a guest of another host, and to one on the same bridge as the pair.

import type { Guest } from "../../lab/guest.ts";
import { guestDevice } from "../../lab/guest.ts";
import { Keepalived } from "../../lab/keepalived.ts";
import { createLab, type Lab } from "../../lab/lab.ts";
import type { ContinuousPing } from "../../lab/ping.ts";
import { underlayDevice } from "../../lab/underlay.ts";
import { waitFor } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { call, untilConnected } from "../modes/nearmiss.ts";
import type { Progress } from "../progress.ts";

export interface FailoverOptions {
  /** On each side: takeovers, of which every second is by a host that vanishes, with a switch-back after each. */
  readonly failovers: number;
  /** Between two advertisements, ms. */
  readonly advert: number;
  /** Ceilings: of nearmiss above the one bridge, ms. */
  readonly median: number;
  readonly p99: number;
}

export const sides = ["nearmiss", "bridge"] as const;
export type Side = (typeof sides)[number];
/** The master is killed, its host vanishes, or it has the address back as it has the higher priority. */
export const kinds = ["killed", "vanished", "switch-back"] as const;
export type Kind = (typeof kinds)[number];

export interface FailoverRow {
  readonly side: Side;
  readonly kind: Kind;
  /** Times without an answer, ms. */
  readonly gaps: Distribution;
}

export interface FailoverResult extends Pick<FailoverOptions, "advert" | "median" | "p99"> {
  readonly rows: readonly FailoverRow[];
  /** What is above a ceiling. */
  readonly missed: readonly string[];
}

const vni = 100;
const shared = ["10.20.1.100", "fd00:20::100"] as const;
const pingMs = 10;
/** Answers before and after a failover, for the gap between them to be one. */
const steadyAnswers = 25;
const patience = { deadlineMs: 30_000 } as const;

export async function failoverBench(options: FailoverOptions, progress: Progress): Promise<FailoverResult> {
  const rows: FailoverRow[] = [];
  for (const side of sides) rows.push(...(await measure(side, options, progress)));
  const { advert, median, p99 } = options;
  return { advert, median, p99, rows, missed: missedIn(rows, options) };
}

export function missedIn(
  rows: readonly FailoverRow[],
  { median, p99 }: Pick<FailoverOptions, "median" | "p99">,
): string[] {
  return kinds.flatMap((kind) => {
    const of = (side: Side) => rows.find((row) => row.kind === kind && row.side === side)?.gaps;
    const [own, bridge] = [of("nearmiss"), of("bridge")];
    if (!own || !bridge) return [`${kind}: not measured on both sides`];
    const found: string[] = [];
    const above = (name: string, ms: number, most: number): void => {
      if (!(ms <= most)) found.push(`${kind}: ${name} is ${ms} ms above that of one bridge, allowed are ${most}`);
    };
    above("median", own.medianMs - bridge.medianMs, median);
    above("p99", own.p99Ms - bridge.p99Ms, p99);
    return found;
  });
}

interface Scene {
  readonly lab: Lab;
  readonly one: Guest;
  readonly two: Guest;
  readonly client: Guest;
  /** Cuts off the first guest, as its host would be. */
  readonly cut: () => Promise<void>;
  readonly heal: () => Promise<void>;
  /** Before each failover. */
  readonly thaw: () => Promise<void>;
}

async function measure(side: Side, { failovers, advert }: FailoverOptions, progress: Progress): Promise<FailoverRow[]> {
  const lab = await createLab({ hosts: side === "nearmiss" ? 3 : 1, underlay: 4 });
  try {
    const scene = await (side === "nearmiss" ? onThreeHosts(lab) : onOneBridge(lab));
    const { one, two, client, cut, heal, thaw } = scene;
    const both = { shared: [`${shared[0]}/24`, `${shared[1]}/64`], advertS: advert / 1_000, directory: lab.directory };
    const first = new Keepalived({ guest: one, peer: two.ips, priority: 150, ...both });
    const second = new Keepalived({ guest: two, peer: one.ips, priority: 100, ...both });
    const gaps = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]));
    const during = async (kind: Kind, act: () => unknown, taker: Guest): Promise<void> => {
      // The fifth move within 180 s is the last one.
      await thaw();
      const found = await gapsDuring(client, act, taker).catch((error: Error) => {
        throw new Error([error.message, first.describe(), second.describe()].join("\n"));
      });
      gaps.get(kind)?.push(...found);
    };
    try {
      await untilAt(one, client);
      for (let n = 0; n < failovers; n++) {
        progress(`${side}: failover ${n + 1} of ${failovers}`);
        const kind = n % 2 === 0 ? "killed" : "vanished";
        await during(kind, () => (kind === "killed" ? first.kill() : cut()), two);
        if (kind === "vanished") {
          // It comes back without its addresses, as a machine that was started again.
          await first.kill();
          await heal();
        }
        for (const ip of shared)
          await one.ip(`addr del ${ip}/${ip.includes(":") ? 64 : 24} dev ${guestDevice}`).catch(() => {});
        await during("switch-back", () => first.restart(), one);
      }
    } finally {
      await Promise.all([first.stop(), second.stop()]);
    }
    return kinds.flatMap((kind) => {
      const times = gaps.get(kind) ?? [];
      return times.length === 0 ? [] : [{ side, kind, gaps: distribution(times) }];
    });
  } finally {
    await lab.remove();
  }
}

const macOf = (n: number): string => `52:54:00:00:00:0${n}`;
const ipsOf = (n: number): [string, string] => [`10.20.1.${n}`, `fd00:20::${n}`];

async function onThreeHosts(lab: Lab): Promise<Scene> {
  await lab.startController();
  for (const host of lab.hosts) host.startAgent({ logLevel: "info" });
  await untilConnected(lab);
  await call(lab, "PUT", "/v1/networks/blue", { vni, subnets: ["10.20.1.0/24", "fd00:20::/64"] });
  const boot = async (name: string, n: number, allowed: readonly string[]): Promise<Guest> => {
    const host = lab.hosts[n - 1];
    if (!host) throw new RangeError(`the lab has ${lab.hosts.length} hosts`);
    const [port, mac, ips] = [`tap${n}`, macOf(n), ipsOf(n)];
    const card = { network: "blue", mac, ips, port, allowedAddresses: allowed.map((ip) => ({ ip })) };
    await call(lab, "POST", "/v1/vms?wait=ready", { name, host: host.name, interfaces: [card] });
    return host.addGuest({ name, vni, mac, ips: [`${ips[0]}/24`, `${ips[1]}/64`], port });
  };
  const [one, two, client] = [await boot("one", 1, shared), await boot("two", 2, shared), await boot("client", 3, [])];
  const [a] = lab.hosts;
  return {
    ...{ lab, one, two, client },
    cut: async () => a?.ip(`link set ${underlayDevice} down`),
    heal: async () => {
      await a?.ip(`link set ${underlayDevice} up`);
      // A switch-back is planned when the host is well again. Its session lives on, but what waits in it goes on with a repetition of TCP.
      const sinceMs = Date.now();
      await waitFor(() => isInSync(lab, sinceMs), { what: "host a to be in sync", ...patience });
    },
    thaw: async () => {
      for (const ip of shared) await call(lab, "POST", "/v1/networks/blue/thaw", { ip });
    },
  };
}

/** Host a has been heard of since then, and has what has changed. */
async function isInSync(lab: Lab, sinceMs: number): Promise<boolean> {
  const host = await call<{ readonly lastSeen: string | null; readonly appliedRevision: number | null }>(
    lab,
    "GET",
    "/v1/hosts/a",
  );
  const { revision } = await call<{ readonly revision: number }>(lab, "GET", "/v1/overview");
  return Date.parse(host.lastSeen ?? "") > sinceMs && (host.appliedRevision ?? 0) >= revision;
}

async function onOneBridge(lab: Lab): Promise<Scene> {
  const [host] = lab.hosts;
  if (!host) throw new Error("the lab has no host");
  await host.ip("link add plain type bridge mcast_snooping 0", "link set plain addrgenmode none", "link set plain up");
  const boot = (name: string, n: number): Promise<Guest> => {
    const [v4, v6] = ipsOf(n);
    const place = { port: `tap${n}`, bridge: "plain" };
    return host.addGuest({ name, vni, mac: macOf(n), ips: [`${v4}/24`, `${v6}/64`], ...place });
  };
  const [one, two, client] = [await boot("one", 1), await boot("two", 2), await boot("client", 3)];
  const set = (state: "up" | "down") => host.ip(`link set ${one.port} ${state}`);
  return { lab, one, two, client, cut: () => set("down"), heal: () => set("up"), thaw: async () => {} };
}

async function hasAddresses(guest: Guest): Promise<boolean> {
  const text = await guest.exec(["ip", "-o", "addr", "show", "dev", guestDevice]);
  return shared.every((ip) => text.includes(` ${ip}/`));
}

async function untilAt(taker: Guest, client: Guest): Promise<void> {
  await waitFor(() => hasAddresses(taker), { what: `${taker.name} to have the addresses`, everyMs: 20, ...patience });
  for (const ip of shared) {
    await waitFor(async () => (await client.ping(ip, { deadlineS: 1 })).received === 1, {
      what: `${ip} to answer`,
      everyMs: 50,
      ...patience,
    });
  }
}

/** @returns of each address the longest time without an answer, ms */
async function gapsDuring(client: Guest, act: () => unknown, taker: Guest): Promise<number[]> {
  const pings = shared.map((ip) => client.startPing(ip, { intervalMs: pingMs }));
  const untilMore = async (): Promise<void> => {
    for (const ping of pings) await untilAnswered(ping);
  };
  await untilMore();
  await act();
  await untilAt(taker, client);
  await untilMore();
  const results = await Promise.all(pings.map((ping) => ping.stop()));
  return results.map(({ lost }) => longestRun(lost) * pingMs);
}

async function untilAnswered(ping: ContinuousPing): Promise<void> {
  const before = ping.received();
  await waitFor(() => ping.received() >= before + steadyAnswers, { what: "steady answers", everyMs: 20, ...patience });
}

/** How many of these numbers follow each other at most. */
export function longestRun(numbers: readonly number[]): number {
  let longest = 0;
  let run = 0;
  numbers.forEach((each, i) => {
    run = numbers[i - 1] === each - 1 ? run + 1 : 1;
    longest = Math.max(longest, run);
  });
  return longest;
}
