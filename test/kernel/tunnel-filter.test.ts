// The host's own packet filter, where it drops what other hosts send to the tunnel, or what this one sends: in tables of every family.
import { spawnSync } from "node:child_process";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf, webAndDb } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const hasNft = spawnSync("nft", ["--version"]).status === 0;
const deadlineMs = 2_000;
/** As distributions ship it. */
const firewall = [
  "ct state established,related accept",
  "ct state invalid drop",
  'iifname "lo" accept',
  "tcp dport 22 accept",
];

/** Needs nft, of Debian's package nftables. In CI a skip is a failure: there it runs and fails. */
describe.skipIf(!hasNft && process.env.CI !== "true")("a host", () => {
  describeKernel("whose own filter", () => {
    const it = cluster({ hosts: 2, underlay: 4 });
    let a: Host;
    let guest: Guest;

    beforeAll(async () => {
      a = it.lab.host("a");
      guest = await webAndDb(it);
    });

    afterEach(async () => {
      await load("");
      await waitFor(async () => (await problems()).length === 0, { what: "no problem", deadlineMs });
    });

    /** One transaction: a table of a family, with chains as `nft -f` has them. */
    async function load(chains: string, table = "inet f"): Promise<void> {
      const lines = [`table ${loaded} {}`, `delete table ${loaded}`, `table ${table} {`, chains, "}"].join("\n");
      await a.exec(["sh", "-c", `nft -f - <<'END'\n${lines}\nEND`]);
      loaded = table;
    }
    let loaded = "inet f";
    const input = (rules: readonly string[], policy = "drop", hook = "input priority 0") =>
      `chain c {\ntype filter hook ${hook}; policy ${policy};\n${rules.join("\n")}\n}`;
    const problems = async (): Promise<readonly string[]> => (await statusOf(a)).problems;
    const passes = async (): Promise<boolean> =>
      (await guest.ping("10.20.1.2", { count: 2, intervalMs: 100, deadlineS: 1 })).received > 0;
    /** The agent has looked at the rules that are there now: a rule that drops is seen after them. */
    async function afterALook(): Promise<readonly string[]> {
      await a.exec(["nft", "add", "table", "inet", "fence"]);
      await a.exec(["sh", "-c", "nft 'add chain inet fence z { type filter hook input priority 99 ; policy drop ; }'"]);
      const seen = await waitFor(
        async () => {
          const found = await problems();
          return found.length > 0 ? found : undefined;
        },
        { what: "the fence", deadlineMs },
      );
      await a.exec(["nft", "delete", "table", "inet", "fence"]);
      return seen;
    }

    const of = (hosts: string) => `udp dport 4789 ${hosts}`;
    test.each<readonly [string, string, string, string]>([
      ["drops all that no rule accepts", input(firewall), "inet f", "inet f c"],
      ["drops it in a table for IPv4", input(firewall), "ip f", "ip f c"],
      ["drops its port", input(["udp dport 4789 drop"], "accept"), "inet f", "inet f c"],
      ["rejects its port", input(["udp dport 4789 reject"], "accept"), "inet f", "inet f c"],
      ["drops a range of ports", input(["udp dport 4000-5000 drop"], "accept"), "inet f", "inet f c"],
      ["drops a set of ports", input(["udp dport { 53, 4789, 8472 } drop"], "accept"), "inet f", "inet f c"],
      [
        "maps its port to a verdict",
        input(["udp dport vmap { 53 : accept, 4789 : drop }"], "accept"),
        "inet f",
        "inet f c",
      ],
      ["accepts other hosts only", input([...firewall, of("ip saddr 198.51.100.0/24 accept")]), "inet f", "inet f c"],
      [
        "drops what the device brings",
        input([`iifname "${underlayDevice}" meta l4proto udp drop`], "accept"),
        "inet f",
        "inet f c",
      ],
      ["drops before routing", input(["udp dport 4789 drop"], "accept", "prerouting priority -300"), "ip f", "ip f c"],
      [
        "drops at the device",
        input(["ip protocol udp udp dport 4789 drop"], "accept", `ingress device "${underlayDevice}" priority 0`),
        "netdev f",
        "netdev f c",
      ],
      [
        "drops in a chain that it jumps to",
        `chain d {\nudp dport 4789 drop\n}\n${input(["meta l4proto udp jump d"], "accept")}`,
        "inet f",
        "inet f c",
      ],
    ])("%s: it is named, and explain says so", async (_, chains, table, chain) => {
      await load(chains, table);
      expect(await passes()).toBe(false);
      await waitFor(
        async () => (await problems()).some((text) => text.startsWith(`the host's packet filter (chain ${chain}) `)),
        {
          what: "the problem",
          deadlineMs,
        },
      );
      const question = { type: "explain", network: "blue", from: "10.20.1.1", to: "10.20.1.2" } as const;
      const { first } = (await askAgent(a.agentSocket, question)).result as Explanation;
      expect(first).toMatchObject({
        name: "filter",
        says: expect.stringContaining("to port 4789, so nothing arrives"),
      });
    });

    test("drops what this host sends: it is named", async () => {
      await load(input(["udp dport 4789 drop"], "accept", "output priority 0"));
      expect(await passes()).toBe(false);
      await waitFor(async () => (await problems()).some((text) => /so nothing reaches their guests; /.test(text)), {
        what: "the problem",
        deadlineMs,
      });
    });

    test.each<readonly [string, string, string]>([
      ["accepts its port", input([...firewall, "udp dport 4789 accept"]), "inet f"],
      ["accepts the hosts", input([...firewall, of("ip saddr 192.0.2.0/24 accept")]), "inet f"],
      [
        "accepts a set of hosts",
        input([...firewall, of("ip saddr { 192.0.2.1-192.0.2.9, 198.51.100.1 } accept")]),
        "inet f",
      ],
      ["accepts new connections", input([...firewall, "ct state new udp dport 4000-5000 accept"]), "ip f"],
      ["accepts in a chain", `chain d {\nudp dport 4789 accept\n}\n${input(["jump d"])}`, "inet f"],
      ["accepts by a mark, which is not known", `${input(["meta mark 0 accept"])}`, "inet f"],
      ["drops other ports", input(["udp dport { 53, 8472 } drop", "tcp dport 4789 drop"], "accept"), "inet f"],
      ["drops on other devices", input(['iifname "wlan*" drop'], "accept"), "inet f"],
    ])("%s: nothing is said", async (_, chains, table) => {
      await load(chains, table);
      expect(await passes()).toBe(true);
      expect(await afterALook()).toEqual([expect.stringMatching(/^the host's packet filter \(chain inet fence z\) /)]);
    });
  });
});
