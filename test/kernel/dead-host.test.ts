// A host that dies under its VMs: marked down, evacuated in one revision, deleted.
import { expect, test } from "vitest";
import type { EvacuationView } from "../../schema/rest/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const vms = 300;
const mac = (n: number) =>
  `52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
const ip = (n: number) => `10.30.${n >> 8}.${n & 255}`;

describeKernel("a dead host", () => {
  const it = cluster({ hosts: 3, underlay: 4 });

  test(`moves ${vms} VMs to two others in one revision, and every kernel points to their new hosts`, async () => {
    await it.network("blue", 100, { subnets: ["10.30.0.0/16"] });
    const asker = await it.vm("asker", "a", "blue", 100, mac(1), [`${ip(1)}/16`]);
    await it.vm("other", "b", "blue", 100, mac(2), [`${ip(2)}/16`]);
    const numbers = Array.from({ length: vms }, (_, i) => i + 10);
    for (const n of numbers) {
      const interfaces = [{ network: "blue", mac: mac(n), ips: [ip(n)] }];
      await it.call("PUT", `/v1/vms/vm-${n}`, { host: "c", interfaces });
    }
    // One guest really runs there; host a asks for all VMs.
    const c = it.lab.host("c");
    const victim = await c.addGuest({ name: "vm-10", vni: 100, mac: mac(10), ips: [`${ip(10)}/16`] });
    expect(await asker.ping(ip(10))).toMatchObject({ received: 1 });
    const waysOn = async (host: string) =>
      (await it.entries(host, 100)).fdb.filter((line) => line.includes(" self ") && !line.startsWith(mac(2)));
    const ask = `${numbers.map((n) => `ping -c1 -W1 ${ip(n)} >/dev/null & `).join("")}wait`;
    // At the rate of a guest's budget of questions.
    await waitFor(
      async () => {
        await asker.exec(["sh", "-c", ask]);
        return (await waysOn("a")).length === vms;
      },
      { what: "host a to hold all of them", deadlineMs: 60_000 },
    );

    await c.agent.stop("SIGKILL");
    await c.linkDown();
    await it.call("PATCH", "/v1/hosts/c", { down: true });
    const { revision } = await it.call<{ revision: number }>("GET", "/readyz");
    const told = await it.call<EvacuationView>("POST", "/v1/hosts/c/evacuate", { to: ["b", "a"], wait: true });
    const [onA, onB] = await Promise.all(["a", "b"].map(waysOn));
    expect(told).toMatchObject({ revision: revision + 1, confirmed: 2, of: 3, unconfirmed: [{ host: "c" }] });
    expect(told.moved).toHaveLength(vms);
    const toB = told.moved.filter(({ to }) => to === "b").length;
    expect(toB).toBe(vms / 2);
    // At the moment of the answer: a points to b for the VMs there, and has no entries for its own.
    expect(onA).toHaveLength(toB);
    for (const line of onA ?? []) expect(line).toContain(`dst ${it.lab.host("b").address} `);
    // b has received the partners that its new VMs had on their old host.
    for (const line of onB ?? []) expect(line).toContain(`dst ${it.lab.host("a").address} `);

    // The hypervisor restarts the VM on its new host, and its partners reach it there.
    await victim.remove();
    const place = told.moved.find(({ vm }) => vm === "vm-10")?.to ?? "";
    const again = await it.lab.host(place).addGuest({ name: "vm-10", vni: 100, mac: mac(10), ips: [`${ip(10)}/16`] });
    expect(await asker.ping(ip(10), { count: 2 })).toMatchObject({ received: 2 });
    await again.remove();
    const deleted = await it.lab.api("DELETE", "/v1/hosts/c");
    expect(deleted.status).toBe(204);
  });
});
