// Conditions of guests from the kernel to an operator: at once, by name, as long as they are so, and the same after a restart of either
// program.
import { beforeAll, expect, test } from "vitest";
import type { ConditionView } from "../../schema/rest/index.ts";
import { arp } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, webAndDb } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";

describeKernel("a condition of a guest", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let guest: Guest;

  beforeAll(async () => {
    a = it.lab.host("a");
    guest = await webAndDb(it);
  });

  const listed = async (query: string): Promise<ConditionView[]> =>
    (await it.call<{ conditions: ConditionView[] }>("GET", `/v1/conditions?${query}`)).conditions;
  const one = (query: string) => waitFor(async () => (await listed(query))[0], { what: `the condition ${query}` });
  const none = (query: string) =>
    waitFor(async () => ((await listed(query)).length === 0 ? true : undefined), { what: `no condition ${query}` });

  test("whose registered port is taken out of the bridge names the VM, and ends when the port is back", async () => {
    const port = guest.port;
    await it.call("PATCH", "/v1/vms/web-1", { interfaces: { eth0: { port } } });
    await none("vm=web-1");
    await a.ip(`link set ${port} nomaster`);
    const condition = await one("vm=web-1&kind=guest-never-seen");
    expect(condition).toMatchObject({ host: "a", network: "blue", vm: "web-1", status: "true" });
    expect(condition.fix).toContain("attach it to nmb100");
    await a.ip(`link set ${port} master nmb100`);
    await none("vm=web-1");
  });

  test("that uses an unregistered source address names VM and address, also after the agent was restarted", async () => {
    const socket = await openPacketSocket(guest, "eth0");
    const ask = () =>
      socket.inject(arp({ operation: "request", senderMac: mac1, senderIp: "10.20.1.77", targetIp: "10.20.1.2" }));
    const found = await waitFor(
      async () => {
        ask();
        return (await listed("kind=address-unregistered"))[0];
      },
      { what: "the condition" },
    );
    socket.close();
    expect([found.vm, found.subject]).toEqual(["web-1", "10.20.1.77"]);
    await a.agent.stop("SIGTERM");
    a.startAgent();
    const again = await waitFor(
      async () => (await listed("kind=address-unregistered")).find(({ status }) => status === "true"),
      { what: "the condition after the restart" },
    );
    expect(again).toEqual(found);
  });
});
