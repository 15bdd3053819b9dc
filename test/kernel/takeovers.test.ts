// Addresses that move between guests: the guest that announces one has it, everywhere, and others do not get what they are not allowed.
import { beforeAll, expect, test } from "vitest";
import {
  arp,
  broadcastMac,
  ethernet,
  etherTypes,
  neighbourAdvertisement,
  udpPacket,
} from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;
const shared = ["10.20.1.100", "fd00:20::100"] as const;

interface VmBody {
  readonly interfaces: readonly { readonly ips: readonly string[] }[];
  readonly conditions?: readonly { readonly kind: string }[];
}

describeKernel.each([4, 6] as const)("guests that may take one address, over IPv%i", (underlay) => {
  const it = cluster({ hosts: 3, underlay, agentArgs: ["--anti-spoof"] });
  let one: Guest;
  let two: Guest;
  let client: Guest;
  let local: Guest;

  const ipsOf = async (name: string): Promise<readonly string[]> =>
    (await it.call<VmBody>("GET", `/v1/vms/${name}`)).interfaces[0]?.ips ?? [];
  const untilHas = (name: string, ip: string) =>
    waitFor(async () => (await ipsOf(name)).includes(ip), { what: `${name} to have ${ip}` });

  /** A packet that is on its way while hosts switch is lost. */
  const untilAnswered = (guest: Guest, ip: string) =>
    waitFor(async () => (await guest.ping(ip, { deadlineS: 1 })).received === 1, {
      what: `${ip} to answer ${guest.name}`,
    });

  /** Registers a VM with a port, and boots its guest. */
  async function vm(name: string, host: string, n: number, more: object = {}): Promise<Guest> {
    const ips = [`10.20.1.${n}`, `fd00:20::${n}`];
    const port = `tap${n}`;
    const card = { network: "blue", mac: mac(n), ips, port, ...more };
    await it.call("POST", "/v1/vms?wait=ready", { name, host, interfaces: [card] });
    const mtu = underlay === 6 ? { mtu: 1430 } : {};
    return it.lab
      .host(host)
      .addGuest({ name, vni: 100, mac: mac(n), ips: [`${ips[0]}/24`, `${ips[1]}/64`], port, ...mtu });
  }

  /** The guest has the address from now on, and says so as keepalived does. */
  async function take(guest: Guest, ip: string, from: Guest): Promise<void> {
    const prefix = ip.includes(":") ? "128" : "32";
    await from.ip(`addr del ${ip}/${prefix} dev eth0`).catch(() => {});
    await guest.ip(`addr add ${ip}/${prefix} dev eth0 ${ip.includes(":") ? "nodad" : ""}`);
    await announce(guest, ip);
  }

  async function announce(guest: Guest, ip: string): Promise<void> {
    const socket = await openPacketSocket(guest, "eth0");
    socket.inject(
      ip.includes(":")
        ? neighbourAdvertisement({ mac: guest.mac, ip })
        : arp({ operation: "request", senderMac: guest.mac, senderIp: ip, targetIp: ip }, broadcastMac),
    );
    socket.close();
  }

  beforeAll(async () => {
    await it.network("blue", 100);
    const allowedAddresses = shared.map((ip) => ({ ip }));
    // The smaller one is in the larger one.
    const routed = ["172.16.0.0/12", "172.16.5.0/24", "fd99::/32"].map((ip) => ({ ip }));
    one = await vm("one", "a", 1, { allowedAddresses: [...allowedAddresses, ...routed] });
    two = await vm("two", "b", 2, { allowedAddresses });
    local = await vm("local", "a", 3);
    client = await vm("client", "c", 4);
  });

  test("an address has no guest until a guest announces it, and then answers from everywhere", async () => {
    for (const ip of shared) {
      expect((await client.ping(ip, { deadlineS: 1 })).received).toBe(0);
      await take(one, ip, two);
      await untilHas("one", ip);
      for (const guest of [client, local, two]) await untilAnswered(guest, ip);
    }
    expect(await ipsOf("one")).toEqual(["10.20.1.1", "fd00:20::1", ...shared]);
  });

  test("a takeover by another host's guest moves it for all guests, and back", async () => {
    for (const [taker, former] of [
      [two, one],
      [one, two],
    ] as const) {
      for (const ip of shared) {
        await take(taker, ip, former);
        await untilHas(taker.name, ip);
        expect(await ipsOf(former.name)).not.toContain(ip);
        for (const guest of [client, local, former]) {
          await untilAnswered(guest, ip);
          const known = await guest.exec(["ip", "neigh", "show", ip]);
          expect(known).toContain(taker.mac);
        }
      }
    }
    for (const host of ["a", "b", "c"]) expect((await statusOf(it.lab.host(host))).problems).toEqual([]);
  });

  test("a guest that is not allowed the address does not get it, and is stopped by --anti-spoof", async () => {
    const [ip] = shared;
    const before = await ipsOf("one");
    await announce(client, ip);
    await announce(local, ip);
    // What was sent before it is decided when it has arrived.
    await take(two, "10.20.1.100", one);
    await untilHas("two", ip);
    await take(one, "10.20.1.100", two);
    await untilHas("one", ip);
    expect((await ipsOf("one")).toSorted()).toEqual(before.toSorted());
    for (const name of ["client", "local"]) expect(await ipsOf(name)).not.toContain(ip);
  });

  test("a guest that routes a prefix sends packets from it, and neither announces its addresses nor sends from others", async () => {
    await client.ping("10.20.1.1");
    await client.ping("fd00:20::1");
    const out = await openPacketSocket(one, "eth0");
    const ear = await openPacketSocket(client, "eth0");
    const send = (from: string, to: string): void => {
      const text = Buffer.from(`from ${from}.`);
      const payload = udpPacket({ from, to, fromPort: 5_000, toPort: 5_000, payload: text });
      const type = from.includes(":") ? etherTypes.ipv6 : etherTypes.ipv4;
      out.inject(ethernet({ to: client.mac, from: one.mac, type, payload }));
    };
    const sources4 = ["172.15.255.255", "192.168.0.1", "172.16.5.5", "172.31.255.255"];
    const sources6 = ["fd98::1", "fd99::1", "fd99:0:ffff::1"];
    for (const from of sources4) send(from, "10.20.1.4");
    for (const from of sources6) send(from, "fd00:20::4");
    await announce(one, "172.16.5.5");
    await announce(one, "fd99::1");
    send("10.20.1.1", "10.20.1.4");
    send("fd00:20::1", "fd00:20::4");
    for (const from of ["10.20.1.1", "fd00:20::1"])
      await ear.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.includes(`from ${from}.`));
    const arrived = [...sources4, ...sources6].filter((from) =>
      ear.frames().some(({ bytes, outgoing }) => !outgoing && bytes.includes(`from ${from}.`)),
    );
    expect(arrived).toEqual(["172.16.5.5", "172.31.255.255", "fd99::1", "fd99:0:ffff::1"]);
    for (const socket of [out, ear]) socket.close();
    expect(await ipsOf("one")).not.toContain("172.16.5.5");
  });

  test("an address that moves too often is frozen where it is, until it is thawed", async () => {
    const [ip] = shared;
    // Those before count, too.
    await waitFor(
      async () => {
        await announce(two, ip);
        await announce(one, ip);
        const names = ["one", "two"];
        const found = await Promise.all(names.map((name) => it.call<VmBody>("GET", `/v1/vms/${name}`)));
        return found.some(({ conditions = [] }) => conditions.some(({ kind }) => kind === "address-frozen"));
      },
      { what: "the condition", everyMs: 100 },
    );
    const holder = (await ipsOf("one")).includes(ip) ? "one" : "two";
    const other = holder === "one" ? two : one;
    const { agent } = it.lab.host(other === one ? "a" : "b");
    const refused = agent.nextLog(({ msg }) => msg === "a guest was refused an address");
    // For a second after a refusal the agent does not ask again.
    const again = setInterval(() => void announce(other, ip), 100);
    expect(await refused.finally(() => clearInterval(again))).toMatchObject({ reason: "frozen" });
    expect(await ipsOf(holder)).toContain(ip);
    expect(await it.call("POST", "/v1/networks/blue/thaw", { ip })).toEqual({ network: "blue", ip, thawed: true });
    expect(await it.call("POST", "/v1/networks/blue/thaw", { ip })).toMatchObject({ thawed: false });
    await waitFor(
      async () => {
        await announce(other, ip);
        return (await ipsOf(other.name)).includes(ip);
      },
      { what: "the address to move again", everyMs: 100 },
    );
    const { conditions = [] } = await it.call<VmBody>("GET", `/v1/vms/${other.name}`);
    expect(conditions.map(({ kind }) => kind)).not.toContain("address-frozen");
  });

  test("what an operator writes does not take an address away, and removing the permission does", async () => {
    const ip = shared[1];
    const holder = (await ipsOf("one")).includes(ip) ? "one" : "two";
    await it.call("PATCH", `/v1/vms/${holder}`, { labels: { tier: "web" } });
    await it.call("PATCH", `/v1/vms/${holder}`, {
      interfaces: { eth0: { ips: holder === "one" ? ["10.20.1.1"] : ["10.20.1.2"] } },
    });
    expect(await ipsOf(holder)).toContain(ip);
    await it.call("PATCH", `/v1/vms/${holder}`, { interfaces: { eth0: { allowedAddresses: null } } });
    expect(await ipsOf(holder)).not.toContain(ip);
    await waitFor(async () => !(await it.entries("c", 100)).neighbours.some((line) => line.startsWith(`${ip} `)), {
      what: "host c to forget the address",
    });
  });
});
