// Assignment of MAC and IP addresses that a request omits.
import { describe, expect, test } from "vitest";
import { type Controller, call, problemType, startController } from "./harness.ts";

async function network(controller: Controller, more: object = {}) {
  const body = { vni: 100, subnets: ["10.0.0.0/29"], ...more };
  await call(controller, 201, "PUT", "/v1/networks/n", body);
  await call(controller, 201, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
}
const create = async (controller: Controller, name: string, more: object = {}) => {
  const body = { name, host: "a", interfaces: [{ network: "n", ...more }] };
  return (await call(controller, 201, "POST", "/v1/vms", body)).interfaces[0] as { mac: string; ips: string[] };
};

describe("omitted addresses", () => {
  test("are assigned as one of each family, and a locally administered unicast MAC", async () => {
    const controller = await startController();
    await network(controller, { subnets: ["10.0.0.0/29", "fd00::/64"] });
    const { mac, ips } = await create(controller, "v1");
    expect(ips).toEqual(["10.0.0.2", "fd00::2"]);
    expect(Number.parseInt(mac.slice(0, 2), 16) & 0b11).toBe(0b10);
    expect((await create(controller, "v2")).ips).toEqual(["10.0.0.3", "fd00::3"]);
    expect((await create(controller, "v3", { ips: [] })).ips).toEqual([]);
  });

  test("respect gateways and reserved ranges, and one subnet after the other", async () => {
    const controller = await startController();
    await network(controller, {
      subnets: ["10.0.0.0/29", "10.0.1.0/29"],
      gateways: ["10.0.0.6"],
      reserved: ["10.0.0.1-10.0.0.3", "10.0.1.0/30"],
    });
    const ips: string[] = [];
    for (let i = 0; i < 5; i++) ips.push(...(await create(controller, `v${i}`)).ips);
    expect(ips).toEqual(["10.0.0.4", "10.0.0.5", "10.0.1.4", "10.0.1.5", "10.0.1.6"]);
    const full = await controller.request("POST", "/v1/vms", { name: "x", host: "a", interfaces: [{ network: "n" }] });
    expect([full.status, problemType(full.body)]).toEqual([409, "addresses-exhausted"]);
    expect(full.body.detail).toContain("10.0.0.0/29 has 2 addresses taken");
    expect(full.body.detail).toContain("10.0.1.0/29 has 3 addresses taken");
    await create(controller, "named", { ips: ["10.0.0.2"] });
  });

  test("stay after a PUT that omits them again", async () => {
    const controller = await startController();
    await network(controller);
    const first = await call(controller, 201, "PUT", "/v1/vms/v", { host: "a", interfaces: [{ network: "n" }] });
    const again = await call(controller, 200, "PUT", "/v1/vms/v", { host: "a", interfaces: [{ network: "n" }] });
    expect(again).toEqual(first);
  });

  test("are not assigned to another VM for a while, also across a restart", async () => {
    let now = 1_000_000_000_000;
    const clock = { now: () => new Date(now) };
    const first = await startController(clock);
    await network(first, { quarantineSeconds: 60 });
    expect((await create(first, "v1")).ips).toEqual(["10.0.0.2"]);
    await call(first, 204, "DELETE", "/v1/vms/v1");
    expect((await create(first, "v2")).ips).toEqual(["10.0.0.3"]);
    await first.stop();
    now += 59_000;
    const second = await startController({ ...clock, db: first.db });
    expect((await create(second, "v3")).ips).toEqual(["10.0.0.4"]);
    now += 1_000;
    expect((await create(second, "v4")).ips).toEqual(["10.0.0.2"]);
  });

  test("are reported as in quarantine if no others are left", async () => {
    const controller = await startController();
    await network(controller, { subnets: ["10.0.0.0/30"], gateways: [] });
    await create(controller, "v1");
    await create(controller, "v2");
    await call(controller, 204, "DELETE", "/v1/vms/v1");
    const body = { name: "v3", host: "a", interfaces: [{ network: "n" }] };
    const full = await controller.request("POST", "/v1/vms", body);
    expect(full.body.detail).toContain("2 addresses taken, 1 of them in quarantine");
    await call(controller, 200, "PATCH", "/v1/networks/n", { quarantineSeconds: 0 });
    await call(controller, 201, "POST", "/v1/vms", body);
  });
});
