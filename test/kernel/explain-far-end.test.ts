// One command on one host names the cause at the other end: faults are planted on the far host, and `explain` is asked here.
import { beforeAll, describe, expect, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

type Command = readonly [string, ...string[]];
/** What is done on the far host, what is said here, and how it is undone. */
type Fault = readonly [name: string, act: () => Command, says: RegExp, undo: () => Command];

const port = "vnet9";
const nft = (rule: string): Command => [
  "nft",
  `add table inet f; add chain inet f c { type filter hook input priority 0; }; add rule inet f c ${rule}`,
];

describe.each([false, true])("with certificates of hosts: %s", (secured) => {
  describeKernel("explain on one host", () => {
    const it = cluster({ hosts: 3, underlay: 4, secured });
    let a: Host;
    let b: Host;
    let guest: Guest;

    beforeAll(async () => {
      [a, b] = [it.lab.host("a"), it.lab.host("b")];
      await it.network("blue", 100);
      guest = await it.vm("web-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24"]);
      await it.vm("db-1", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"], { port, pin: true });
      await it.vm("other", "c", "blue", 100, "52:54:00:00:00:03", ["10.20.1.3/24"]);
      expect((await guest.ping("10.20.1.2")).received).toBe(1);
    });

    const explained = async (to = "10.20.1.2"): Promise<Explanation> =>
      (await askAgent(a.agentSocket, { type: "explain", network: "blue", from: "10.20.1.1", to }))
        .result as Explanation;

    const faults: readonly Fault[] = [
      [
        "a filter that drops tunnelled packets",
        () => nft("udp dport 4789 drop"),
        /^on host b: the host's packet filter (\(chain inet f c\) )?drops /,
        () => ["nft", "delete", "table", "inet", "f"],
      ],
      [
        "no way back",
        () => ["ip", "route", "add", "blackhole", `${a.address}/32`],
        /^on host b: guests behind the host with the VTEP address 192\.0\.2\.1 cannot be reached from here: a blackhole /,
        () => ["ip", "route", "del", "blackhole", `${a.address}/32`],
      ],
      [
        "the guest's port out of its bridge",
        () => ["ip", "link", "set", port, "nomaster"],
        /^on host b: (the port vnet9 of the guest with MAC \S+ is not a port of|VM db-1 is registered here and not seen)/,
        () => ["ip", "link", "set", port, "master", "nmb100"],
      ],
      [
        "the guest's port that does not forward",
        () => ["bridge", "link", "set", "dev", port, "state", "0"],
        /^on host b: ((network blue: )?the port vnet9 of nmb100 |a guest's port does not forward)/,
        () => ["bridge", "link", "set", "dev", port, "state", "3"],
      ],
      [
        "an all-zeros FDB entry",
        () => ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "nmv100", "dst", "192.0.2.77"],
        /^on host b: ((network blue: )?nmv100 has an all-zeros FDB entry|entries of another program hide misses)/,
        () => ["bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "nmv100", "dst", "192.0.2.77"],
      ],
      [
        "an address on its tunnel",
        () => ["ip", "address", "add", "10.20.1.99/24", "dev", "nmv100"],
        /^on host b: ((network blue: )?nmv100 has the address|one of its devices has an address of the host)/,
        () => ["ip", "address", "flush", "dev", "nmv100"],
      ],
    ];

    test.each(faults)("names %s on the other", async (name, act, says, undo) => {
      expect((await explained()).first).toBeNull();
      await b.exec([...act()]);
      const found = await waitFor(async () => (await explained()).checks.find((check) => says.test(check.says)), {
        what: "the cause",
      });
      // Whose port it is is known only where this host may know that.
      const isSure = !secured || !name.includes("does not forward");
      expect(found).toMatchObject({ name: "far end", state: isSure ? "wrong" : "note" });
      expect(found.fix).toMatch(/on host b: ./);
      expect((await explained()).first).toEqual(isSure ? found : null);
      // The way to a third host is not concerned.
      expect((await explained("10.20.1.3")).first).toBeNull();
      await b.exec([...undo()]);
      const isOver = async () => !(await explained()).checks.some((check) => says.test(check.says));
      await waitFor(isOver, { what: `${name} to be over` });
    });
  });
});
