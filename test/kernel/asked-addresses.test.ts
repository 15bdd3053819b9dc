// Guests that have a shared address and do not say so are asked: the inventory follows what they have.
import { beforeAll, expect, test } from "vitest";
import {
  arp,
  broadcastMac,
  etherTypes,
  ipBytes,
  macText,
  neighbourAdvertisement,
  readEthernet,
} from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;
/** Of the agent's questions. */
const asker = "00:00:5e:00:53:ff";
const shared = ["10.20.1.100", "fd00:20::100"] as const;

interface VmBody {
  readonly interfaces: readonly { readonly ips: readonly string[] }[];
  readonly conditions?: readonly { readonly kind: string }[];
}

describeKernel("guests with addresses that they do not announce", () => {
  const it = cluster({ hosts: 3, underlay: 4, agentArgs: ["--anti-spoof"] });
  let one: Guest;
  let two: Guest;
  let here: Guest;
  let client: Guest;

  const vmOf = (name: string) => it.call<VmBody>("GET", `/v1/vms/${name}`);
  const ipsOf = async (name: string): Promise<readonly string[]> => (await vmOf(name)).interfaces[0]?.ips ?? [];
  const untilHas = (name: string, ip: string) =>
    waitFor(async () => (await ipsOf(name)).includes(ip), { what: `${name} to have ${ip}`, everyMs: 100 });
  const untilAnswered = (ip: string) =>
    waitFor(async () => (await client.ping(ip, { deadlineS: 1 })).received === 1, { what: `${ip} to answer` });

  const hostLength = (ip: string): string => `${ip}/${ip.includes(":") ? 128 : 32}`;
  const add = (guest: Guest, ip: string, more = "") =>
    guest.ip(`addr add ${hostLength(ip)} dev eth0 ${more || (ip.includes(":") ? "nodad" : "")}`);
  const drop = (guest: Guest, ip: string) => guest.ip(`addr del ${hostLength(ip)} dev eth0`);

  async function announce(guest: Guest, ip: string): Promise<void> {
    const socket = await openPacketSocket(guest, "eth0");
    socket.inject(
      ip.includes(":")
        ? neighbourAdvertisement({ mac: guest.mac, ip })
        : arp({ operation: "request", senderMac: guest.mac, senderIp: ip, targetIp: ip }, broadcastMac),
    );
    socket.close();
  }

  async function vm(name: string, host: string, n: number, allowed: readonly string[]): Promise<Guest> {
    const ips = [`10.20.1.${n}`, `fd00:20::${n}`];
    const allowedAddresses = allowed.map((ip) => ({ ip }));
    const card = { network: "blue", mac: mac(n), ips, port: `tap${n}`, allowedAddresses };
    await it.call("POST", "/v1/vms?wait=ready", { name, host, interfaces: [card] });
    const addresses = [`${ips[0]}/24`, `${ips[1]}/64`];
    return it.lab.host(host).addGuest({ name, vni: 100, mac: mac(n), ips: addresses, port: `tap${n}` });
  }

  beforeAll(async () => {
    await it.network("blue", 100);
    one = await vm("one", "a", 1, shared);
    two = await vm("two", "b", 2, shared);
    here = await vm("here", "a", 3, shared);
    client = await vm("client", "c", 4, []);
  });

  test("a guest that is asked learns nothing, and an address that it is about to have is no conflict", async () => {
    const ear = await openPacketSocket(one, "eth0");
    // Tentative for a minute, in which the guest is asked: a conflict would end that (RFC 4862).
    one.sysctl("ipv6/conf/eth0/accept_dad", 1);
    one.sysctl("ipv6/conf/eth0/dad_transmits", 60);
    await add(one, "fd00:20::100", "valid_lft forever");
    const askedFor = (ip: string) => {
      const type = ip.includes(":") ? etherTypes.ipv6 : etherTypes.arp;
      return ear.frames().filter(({ bytes, outgoing }) => {
        const header = readEthernet(bytes);
        return !outgoing && header.type === type && header.from === asker && bytes.includes(ipBytes(ip));
      });
    };
    await waitFor(() => shared.every((ip) => askedFor(ip).length >= 2), { what: "two questions for each" });
    for (const { bytes } of askedFor(shared[0]))
      expect([macText(bytes.subarray(22, 28)), [...bytes.subarray(28, 32)]]).toEqual([one.mac, [0, 0, 0, 0]]);
    const state = await one.exec(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "to", "fd00:20::100"]);
    expect([state.includes("tentative"), state.includes("dadfailed")]).toEqual([true, false]);
    ear.close();
    await drop(one, "fd00:20::100");
    one.sysctl("ipv6/conf/eth0/accept_dad", 0);
    expect(await ipsOf("one")).not.toContain("fd00:20::100");
  });

  test("an address that no guest has is found where it is", async () => {
    for (const ip of shared) {
      await add(one, ip);
      await untilHas("one", ip);
      await untilAnswered(ip);
    }
  });

  // After a partition both guests may have had the address, and one of them drops it.
  test.each([
    ["another host", () => ({ from: one, to: two })],
    ["the same host", () => ({ from: two, to: here })],
    ["another host, back", () => ({ from: here, to: one })],
  ])("an address that its guest has dropped goes to the one on %s that has it", async (_, guests) => {
    const { from, to } = guests();
    for (const ip of shared) {
      await it.call("POST", "/v1/networks/blue/thaw", { ip });
      await add(to, ip);
      await drop(from, ip);
    }
    for (const ip of shared) {
      await untilHas(to.name, ip);
      expect(await ipsOf(from.name)).not.toContain(ip);
      await untilAnswered(ip);
      expect(await client.exec(["ip", "neigh", "show", ip])).toContain(to.mac);
    }
  });

  test("an address that two guests have stays with the one that has it by the inventory, with a condition, until it is announced", async () => {
    for (const ip of shared) await add(two, ip);
    await waitFor(
      async () => {
        const kinds = ((await vmOf("one")).conditions ?? []).map(({ kind }) => kind);
        return kinds.filter((kind) => kind === "address-disputed").length === shared.length;
      },
      { what: "the conditions", everyMs: 100 },
    );
    for (const ip of shared) {
      expect(await ipsOf("one")).toContain(ip);
      await drop(one, ip);
      await announce(two, ip);
      await untilHas("two", ip);
    }
    expect(await vmOf("two")).not.toHaveProperty("conditions");
  });
});
