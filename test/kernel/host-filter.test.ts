// The host's own packet filter, as Docker leaves it: bridged frames go through it, and it drops what no rule accepts.
import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { StatusReport } from "../../node-agent/status/report.ts";
import type { OperationalCloudEvent } from "../../schema/events/index.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const hasNft = spawnSync("nft", ["--version"]).status === 0;
const mac = (last: number): string => `52:54:00:00:00:0${last}`;

/** Needs nft, of Debian's package nftables. In CI a skip is a failure: there it runs and fails. */
describe.skipIf(!hasNft && process.env.CI !== "true")("a host", () => {
  describeKernel("that sends bridged frames through a FORWARD chain with policy drop", () => {
    const it = cluster({ hosts: 1, underlay: 4 });
    let a: Host;
    let one: Guest;

    beforeAll(async () => {
      a = it.lab.host("a");
      for (const filter of ["iptables", "ip6tables", "arptables"]) a.sysctl(`bridge/bridge-nf-call-${filter}`, 0);
      await it.network("blue", 100);
      one = await it.vm("one", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
      await it.vm("two", "a", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    });

    const toldOf = async (filter: string): Promise<string | undefined> =>
      (await it.call<{ events: OperationalCloudEvent[] }>("GET", "/v1/operational-events")).events.find(
        ({ type, data }) => type === "nearmiss.operational.host-filter" && data.subject === filter,
      )?.data.detail;
    /** Of the agent itself: the controller hears of them with the next heartbeat. */
    const problems = async (): Promise<readonly string[]> =>
      ((await askAgent(a.agentSocket, { type: "status" })).result as StatusReport).problems;
    const seen = (what: string): Promise<string> =>
      waitFor(async () => (await problems()).find((text) => text.includes(what)), {
        what: `a problem with ${what}`,
      });
    const none = (): Promise<unknown> => waitFor(async () => (await problems()).length === 0, { what: "no problem" });
    const nft = (line: string): Promise<string> => a.exec(["nft", ...line.split(" ")]);
    /** The command of the problem, as iptables-nft writes it: tests do not need iptables. */
    const accept = async (chain: string, problem: string): Promise<void> => {
      const [, from, to] =
        /let the bridges? pass \(ip6?tables -I FORWARD -i (\S+) -o (\S+) -j ACCEPT\)/.exec(problem) ?? [];
      const name = (pattern = "") => `"${pattern.replace("+", "*")}"`;
      await nft(`insert rule ${chain} iifname ${name(from)} oifname ${name(to)} accept`);
    };
    const passes = async (ip: string): Promise<boolean> => (await one.ping(ip, { deadlineS: 1 })).received === 1;

    test.each([
      ["iptables", "ip", "10.20.1.2"],
      ["ip6tables", "ip6", "fd00:20::2"],
    ])("is reported while the agent runs, for %s; the command in the report fixes it", async (filter, family, ip) => {
      expect(await passes(ip)).toBe(true);
      await nft(`add table ${family} filter`);
      await nft(`add chain ${family} filter FORWARD { type filter hook forward priority 0 ; policy drop ; }`);
      expect(await passes(ip)).toBe(true);
      a.sysctl(`bridge/bridge-nf-call-${filter}`, 1);
      expect(await passes(ip)).toBe(false);
      const problem = await seen(`bridge-nf-call-${filter}`);
      expect(problem).toContain(`chain ${family} filter FORWARD`);
      expect(await waitFor(() => toldOf(filter), { what: "the operational event" })).toBe(problem);
      await accept(`${family} filter FORWARD`, problem);
      expect(await passes(ip)).toBe(true);
      await none();
      a.sysctl(`bridge/bridge-nf-call-${filter}`, 0);
      await nft(`delete table ${family} filter`);
    });

    test("is reported at the agent's start, and is no problem if a rule accepts our bridges", async () => {
      await a.agent.stop();
      await nft("add table ip filter");
      await nft("add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }");
      a.sysctl("bridge/bridge-nf-call-iptables", 1);
      a.startAgent();
      await seen("bridge-nf-call-iptables");
      await nft('add rule ip filter FORWARD iifname "nmb*" oifname "nmb*" accept');
      await none();
      expect(await passes("10.20.1.2")).toBe(true);
      a.sysctl("bridge/bridge-nf-call-iptables", 0);
      await nft("delete table ip filter");
    });

    test("for one bridge alone is reported too", async () => {
      await nft("add table inet filter");
      await nft("add chain inet filter forward { type filter hook forward priority 0 ; policy drop ; }");
      await a.ip("link set nmb100 type bridge nf_call_iptables 1");
      expect(await passes("10.20.1.2")).toBe(false);
      await accept("inet filter forward", await seen("nmb100 sends"));
      expect(await passes("10.20.1.2")).toBe(true);
      await none();
    });
  });
});
