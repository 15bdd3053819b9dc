// Addresses that move between guests (`allowedAddresses`) while agents and controller cannot see it.
import { arp, broadcastMac, neighbourAdvertisement } from "../../lab/frames.ts";
import { type Guest, guestDevice } from "../../lab/guest.ts";
import { openPacketSocket } from "../../lab/packets.ts";
import { waitFor } from "../../lab/wait.ts";
import { cutOff } from "../cut-off.ts";
import type { Fault } from "../fault.ts";
import type { Scene } from "../scene.ts";
import { agentsNotice } from "./processes.ts";

/** A network of its own, with two guests that share addresses, on a and b, and one that uses them, on c. */
const violet = { name: "violet", vni: 310, subnets: ["10.31.0.0/24", "fd00:31::/64"] } as const;
const shared = ["10.31.0.100", "fd00:31::100"] as const;
const cast = [
  ["violet-a", "a", 1],
  ["violet-b", "b", 2],
  ["violet-c", "c", 3],
] as const;
const placed = new WeakMap<Scene, Guest[]>();
/** An agent notices a partition within 20 s and pauses before it tries again; then guests are asked in turn. */
const settledMs = 60_000;

interface Players {
  readonly a: Guest;
  readonly b: Guest;
  readonly client: Guest;
}

async function furnish(scene: Scene): Promise<Players> {
  const { name: network, vni, subnets } = violet;
  await scene.call("PUT", `/v1/networks/${network}`, { vni, subnets });
  const guests: Guest[] = [];
  placed.set(scene, guests);
  for (const [name, host, n] of cast) {
    const [mac, ips, port] = [`52:54:9f:00:00:0${n}`, [`10.31.0.${n}`, `fd00:31::${n}`], `violet${n}`];
    const allowedAddresses = n === 3 ? [] : shared.map((ip) => ({ ip }));
    const interfaces = [{ network, mac, ips, port, allowedAddresses }];
    await scene.call("POST", "/v1/vms?wait=ready", { name, host, interfaces });
    const addresses = [`${ips[0]}/24`, `${ips[1]}/64`];
    guests.push(await scene.host(host).addGuest({ name, vni, mac, ips: addresses, port }));
  }
  const [a, b, client] = guests as [Guest, Guest, Guest];
  await moveTo(scene, a, b, client);
  return { a, b, client };
}

async function clear(scene: Scene): Promise<void> {
  await scene.deleteVms("violet-");
  for (const guest of placed.get(scene) ?? []) await guest.remove();
  await scene.call("DELETE", `/v1/networks/${violet.name}`);
}

/** The guest has the addresses from now on, and the other one does not. */
async function take(guest: Guest, from: Guest, how: "announced" | "silently"): Promise<void> {
  for (const ip of shared) {
    const address = `${ip}/${ip.includes(":") ? 128 : 32} dev ${guestDevice}`;
    await from.ip(`addr del ${address}`).catch(() => {});
    await guest.ip(`addr add ${address}${ip.includes(":") ? " nodad" : ""}`);
    if (how === "silently") continue;
    const socket = await openPacketSocket(guest, guestDevice);
    socket.inject(
      ip.includes(":")
        ? neighbourAdvertisement({ mac: guest.mac, ip })
        : arp({ operation: "request", senderMac: guest.mac, senderIp: ip, targetIp: ip }, broadcastMac),
    );
    socket.close();
  }
}

async function ipsOf(scene: Scene, { name }: Guest): Promise<readonly string[]> {
  const vm = await scene.call<{ interfaces: { ips: string[] }[] }>("GET", `/v1/vms/${name}`);
  return vm.interfaces.flatMap(({ ips }) => ips);
}

async function untilAt(scene: Scene, guest: Guest, client: Guest): Promise<void> {
  for (const ip of shared) {
    await waitFor(async () => (await ipsOf(scene, guest)).includes(ip), {
      what: `${guest.name} to have ${ip}`,
      everyMs: 100,
      deadlineMs: settledMs,
    });
    await waitFor(async () => (await client.ping(ip, { deadlineS: 1 })).received === 1, { what: `${ip} to answer` });
    // The fifth move within 180 s is the last one.
    await scene.call("POST", `/v1/networks/${violet.name}/thaw`, { ip });
  }
}

async function moveTo(scene: Scene, guest: Guest, from: Guest, client: Guest): Promise<void> {
  await take(guest, from, "announced");
  await untilAt(scene, guest, client);
}

export const takenWhileAgentIsDown: Fault = {
  name: "addresses taken while the agent of their new host is down: they move when it is back, though nothing is announced then",
  waits: true,
  act: async (scene) => {
    const { a, b, client } = await furnish(scene);
    for (const [name, taker, former] of [
      ["b", b, a],
      ["a", a, b],
    ] as const) {
      await scene.host(name).agent.stop("SIGKILL");
      await take(taker, former, "announced");
      scene.startAgent(name);
      await scene.inStep(name);
      await untilAt(scene, taker, client);
    }
    return ["2 kills, 4 moves"];
  },
  tidy: clear,
};

export const takenBehindPartition: Fault = {
  name: "addresses taken behind a partition move when it heals, and stay where another guest has taken them back",
  waits: true,
  act: async (scene) => {
    const { a, b, client } = await furnish(scene);
    // Too short for host b to notice.
    const heal = await cutOff(scene, "b");
    try {
      await take(b, a, "announced");
    } finally {
      await heal();
    }
    await untilAt(scene, b, client);
    await moveTo(scene, a, b, client);
    const healAgain = await cutOff(scene, "b");
    try {
      await take(b, a, "announced");
      await take(a, b, "announced");
      await agentsNotice(scene, ["b"]);
    } finally {
      await healAgain();
    }
    await waitFor(() => scene.isConnected("b"), { what: "host b to be connected", deadlineMs: settledMs });
    await untilAt(scene, a, client);
    return ["2 partitions"];
  },
  tidy: clear,
};
