// A real keepalived in guests of two hosts: its address is where it says, for guests of a third host.
import { spawnSync } from "node:child_process";
import { beforeAll, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { Keepalived, keepalivedProgram } from "../../testkit/lab/keepalived.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const isInstalled = spawnSync(keepalivedProgram, ["--version"]).status === 0;
const describeKeepalived = isInstalled || process.env.CI === "true" ? describeKernel : describeKernel.skip;

const shared = ["10.20.1.100", "fd00:20::100"] as const;
const mac = (n: number) => `52:54:00:00:00:0${n}`;

describeKeepalived("keepalived in guests of two hosts", () => {
  const it = cluster({ hosts: 3, underlay: 4, agentArgs: ["--anti-spoof"] });
  let one: Keepalived;
  let two: Keepalived;
  let client: Guest;

  const ipsOf = async (name: string): Promise<readonly string[]> =>
    (await it.call<{ interfaces: { ips: string[] }[] }>("GET", `/v1/vms/${name}`)).interfaces[0]?.ips ?? [];

  /** Both addresses are where they should be, and answer to guests of the third host. */
  async function untilAt(name: string): Promise<void> {
    const has = async (): Promise<boolean> => {
      const ips = await ipsOf(name);
      return shared.every((ip) => ips.includes(ip));
    };
    await waitFor(has, { what: `${name} to have ${shared.join(" and ")}`, everyMs: 50 }).catch((error: Error) => {
      throw new Error([error.message, one.describe(), two.describe()].join("\n"));
    });
    for (const ip of shared) {
      await waitFor(async () => (await client.ping(ip, { deadlineS: 1 })).received === 1, { what: `${ip} at ${name}` });
      // On a busy machine both may be master for a moment, and more often than an address may move.
      await it.call("POST", "/v1/networks/blue/thaw", { ip });
    }
  }

  async function vm(name: string, host: string, n: number, allowed: readonly string[] = []): Promise<Guest> {
    const ips = [`10.20.1.${n}`, `fd00:20::${n}`];
    const allowedAddresses = allowed.map((ip) => ({ ip }));
    const card = { network: "blue", mac: mac(n), ips, port: `tap${n}`, allowedAddresses };
    await it.call("POST", "/v1/vms?wait=ready", { name, host, interfaces: [card] });
    const addresses = [`${ips[0]}/24`, `${ips[1]}/64`];
    return it.lab.host(host).addGuest({ name, vni: 100, mac: mac(n), ips: addresses, port: `tap${n}` });
  }

  beforeAll(async () => {
    await it.network("blue", 100);
    const guests = [await vm("one", "a", 1, shared), await vm("two", "b", 2, shared)] as const;
    client = await vm("client", "c", 3);
    const { directory } = it.lab;
    // A busy machine must not make two masters.
    const both = { advertS: 1, shared: ["10.20.1.100/24", "fd00:20::100/64"], directory };
    one = new Keepalived({ guest: guests[0], peer: guests[1].ips, priority: 150, ...both });
    two = new Keepalived({ guest: guests[1], peer: guests[0].ips, priority: 100, ...both });
    return async () => {
      await one.stop();
      await two.stop();
    };
  });

  test("the addresses are at the one with the higher priority", async () => {
    await untilAt("one");
  });

  test("killed, the other one has them, and it has them again when it is back", async () => {
    await one.kill();
    await untilAt("two");
    one.restart();
    await untilAt("one");
  });

  test("when its host vanishes the other one has them, and it has them again with its host", async () => {
    const a = it.lab.host("a");
    await a.ip(`link set ${underlayDevice} down`);
    await untilAt("two");
    await a.ip(`link set ${underlayDevice} up`);
    await untilAt("one");
    const { conditions = [] } = await it.call<{ conditions?: { kind: string }[] }>("GET", "/v1/networks/blue");
    expect(conditions).toEqual([]);
  });
});
