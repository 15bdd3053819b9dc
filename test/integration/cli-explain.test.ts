// `nearmiss explain` with names: they become addresses, and what is missing is said. No agent runs here, so that is its first problem.
import { expect, test } from "vitest";
import { startOperated } from "../support/binary.ts";

test("explain takes VMs by name, with the network that they share and the family that both have", async () => {
  const controller = await startOperated();
  for (const line of [
    "network create blue --vni 100 --subnet 10.20.1.0/24 --subnet fd00:20::/64",
    "network create red --vni 200 --subnet 10.30.1.0/24",
    "host create a --vtep 192.0.2.1",
    "vm create web-1 --host a --interface network=blue,ip=10.20.1.11,ip=fd00:20::11 --interface network=red,ip=10.30.1.11",
    "vm create db-1 --host a --interface network=blue,ip=fd00:20::12,name=front",
    "vm create both --host a --interface network=blue,ip=10.20.1.13 --interface network=red,ip=10.30.1.13",
    "vm create twice --host a --interface network=red,ip=10.30.1.14 --interface network=red,ip=10.30.1.15",
    "vm create alone --host a --interface network=red,ip=10.30.1.16",
  ])
    await controller.ok(...line.split(" "));
  const explain = (...args: string[]) => controller.run(["explain", "--socket", "/run/nearmiss-none.sock", ...args]);
  const resolved = async (...args: string[]) => {
    const { status, stdout, stderr } = await explain(...args, "-o", "json");
    expect([status, stderr]).toEqual([1, ""]);
    const { network, from, to, first } = JSON.parse(stdout);
    expect(first.says).toMatch(/no agent/);
    return [network, from, to];
  };
  expect(await resolved("web-1", "db-1")).toEqual(["blue", "fd00:20::11", "fd00:20::12"]);
  expect(await resolved("web-1/eth0", "both/eth0")).toEqual(["blue", "10.20.1.11", "10.20.1.13"]);
  expect(await resolved("web-1", "both", "--network", "red")).toEqual(["red", "10.30.1.11", "10.30.1.13"]);
  expect(await resolved("db-1/front", "fd00:20::99")).toEqual(["blue", "fd00:20::12", "fd00:20::99"]);
  expect(await resolved("10.20.1.1", "10.20.1.2", "--network", "blue")).toEqual(["blue", "10.20.1.1", "10.20.1.2"]);

  const refused = async (status: number, text: RegExp, ...args: string[]) => {
    const answer = await explain(...args);
    expect([answer.status, answer.stderr]).toEqual([status, expect.stringMatching(text)]);
  };
  await refused(2, /may be meant in several networks \(blue, red\): say which with --network/, "web-1", "both");
  await refused(1, /db-1 and alone are in no network together/, "db-1", "alone");
  await refused(2, /twice has several interfaces in red: name twice\/eth0 or twice\/eth1/, "alone", "twice");
  await refused(1, /VM db-1 has no interface "eth0", only front/, "db-1/eth0", "web-1");
  await refused(1, /no addresses of one family in network blue/, "db-1", "10.20.1.13");
  await refused(3, /a is a host: name a VM/, "a", "db-1");
  await refused(3, /no VM is named "nowhere"/, "nowhere", "db-1");
  await refused(2, /addresses mean something within a network only: add --network/, "10.20.1.1", "10.20.1.2");
  await refused(2, /"10.20.1" is not/, "10.20.1", "db-1");
  await refused(5, /Names are asked of the controller/, "web-1", "db-1", "--controller", "http://127.0.0.1:1");
});
