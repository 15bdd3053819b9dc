import { beforeAll, describe, expect, test } from "vitest";
import type { Guest } from "../../testkit/lab/guest.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const macs = {
  blue1: "52:54:00:00:00:01",
  blue2: "52:54:00:00:00:02",
  blue3: "52:54:00:00:00:03",
  red2: "52:54:00:00:00:02",
};

describe.each([4, 6] as const)("three hosts over IPv%i", (underlay) => {
  describeKernel("a miss, answered end to end", () => {
    const it = cluster({ hosts: 3, underlay });
    let blue1: Guest;
    let blue2: Guest;

    beforeAll(async () => {
      await it.network("blue", 100);
      await it.network("red", 200);
      blue1 = await it.vm("blue-1", "a", "blue", 100, macs.blue1, ["10.20.1.1/24", "fd00:20::1/64"]);
      blue2 = await it.vm("blue-2", "b", "blue", 100, macs.blue2, ["10.20.1.2/24", "fd00:20::2/64"]);
    });

    test("a guest's first packet arrives, IPv4 and IPv6", async () => {
      expect(await blue1.ping("10.20.1.2")).toMatchObject({ sent: 1, received: 1 });
      expect(await blue1.ping("fd00:20::2")).toMatchObject({ sent: 1, received: 1 });
    });

    test("each host has the three entries of each answer that its guests use, and nothing else", async () => {
      const vtepB = it.lab.host("b").address;
      expect(await it.entries("a", 100)).toEqual({
        neighbours: [
          `10.20.1.2 lladdr ${macs.blue2} PERMANENT proto 78`,
          `fd00:20::2 lladdr ${macs.blue2} PERMANENT proto 78`,
        ],
        fdb: [`${macs.blue2} dst ${vtepB} self extern_learn permanent`, `${macs.blue2} extern_learn master nmb100`],
      });
      expect(
        it.lab
          .host("c")
          .interfaces()
          .filter((name) => name.startsWith("nm")),
      ).toEqual([]);
    });

    test("overlapping networks do not see each other", async () => {
      const red2 = await it.vm("red-2", "b", "red", 200, macs.red2, ["10.20.1.2/24", "fd00:20::2/64"]);
      const red3 = await it.vm("red-3", "c", "red", 200, macs.blue3, ["10.20.1.3/24"]);
      expect(await red3.ping("10.20.1.2")).toMatchObject({ received: 1 });
      // Registered in blue only.
      expect(await red3.ping("10.20.1.1", { count: 1, deadlineS: 2 })).toMatchObject({ received: 0 });
      expect((await it.entries("c", 200)).neighbours).toEqual([`10.20.1.2 lladdr ${macs.red2} PERMANENT proto 78`]);
      await red2.remove();
      await red3.remove();
      await it.call("DELETE", "/v1/vms/red-2");
      await it.call("DELETE", "/v1/vms/red-3");
    });

    test("a network's devices leave with its last VM on the host", async () => {
      const left = () =>
        ["b", "c"].flatMap((name) => it.lab.host(name).interfaces()).filter((name) => /^nm[bv]200$/.test(name));
      await waitFor(() => left().length === 0, { what: "nmb200 and nmv200 to leave hosts b and c" });
      expect(it.lab.host("b").interfaces()).toContain("nmv100");
    });

    test("an unknown address is asked for once while it is quiet, and answered when it is registered", async () => {
      const asked = () =>
        it.lab.host("a").agent.logs.filter((line) => line.msg === "miss unknown" && line.key === "10.20.1.3").length;
      await blue1.ping("10.20.1.3", { count: 3, deadlineS: 1 });
      await waitFor(asked, { what: "the question" });
      expect(asked()).toBe(1);
      const blue3 = await it.vm("blue-3", "c", "blue", 100, macs.blue3, ["10.20.1.3/24"]);
      await waitFor(async () => (await it.entries("a", 100)).neighbours.some((line) => line.startsWith("10.20.1.3 ")), {
        what: "the pushed entry for 10.20.1.3 on host a",
      });
      expect(await blue1.ping("10.20.1.3", { count: 2 })).toMatchObject({ received: 2 });
      expect(asked()).toBe(1);
      await blue3.remove();
      await it.call("DELETE", "/v1/vms/blue-3");
      await waitFor(
        async () => !(await it.entries("a", 100)).neighbours.some((line) => line.startsWith("10.20.1.3 ")),
        {
          what: "the entry for 10.20.1.3 to leave host a",
        },
      );
    });

    test("a move reaches every holder, the old host and the new one, during a ping", async () => {
      const c = it.lab.host("c");
      const blue4 = await it.vm("blue-4", "b", "blue", 100, "52:54:00:00:00:04", ["10.20.1.4/24", "fd00:20::4/64"]);
      expect(await blue1.ping("10.20.1.4")).toMatchObject({ received: 1 });
      await it.call("POST", "/v1/vms?wait=ready", {
        name: "keeps-c",
        host: "c",
        interfaces: [{ network: "blue", mac: "52:54:00:00:00:99", ips: [] }],
      });
      const ping = blue1.startPing("10.20.1.4", { intervalMs: 50 });
      await waitFor(() => ping.received() > 3, { what: "the ping to run" });
      await it.call("PATCH", "/v1/vms/blue-4?wait=ready", { host: "c" });
      await blue4.moveTo(c);
      const before = ping.received();
      await waitFor(() => ping.received() > before + 5, { what: "the ping to go on after the move" });
      await ping.stop();
      const to = (entries: { fdb: string[] }) => entries.fdb.filter((line) => line.startsWith("52:54:00:00:00:04"));
      const moved = [
        `52:54:00:00:00:04 dst ${c.address} self extern_learn permanent`,
        "52:54:00:00:00:04 extern_learn master nmb100",
      ];
      await waitFor(async () => to(await it.entries("b", 100)).join() === moved.join(), { what: "host b to follow" });
      expect(to(await it.entries("a", 100))).toEqual(moved);
      expect(to(await it.entries("c", 100))).toEqual([]);
      expect(await blue2.ping("10.20.1.4", { count: 2 })).toMatchObject({ received: 2 });
      expect(await blue2.ping("fd00:20::4", { count: 2 })).toMatchObject({ received: 2 });
      await blue4.remove();
      await it.call("DELETE", "/v1/vms/blue-4");
      await it.call("DELETE", "/v1/vms/keeps-c");
      await waitFor(async () => to(await it.entries("a", 100)).length === 0, { what: "host a to forget the VM" });
    });

    test("a lost FDB entry is written again at the l2miss, from memory", async () => {
      const a = it.lab.host("a");
      expect(await blue1.ping("10.20.1.2")).toMatchObject({ received: 1 });
      // The agent also sees that the entry is missing, and would be faster than a late frame.
      a.agent.signal("SIGSTOP");
      await a.exec(["bridge", "fdb", "del", macs.blue2, "dev", "nmv100", "dst", it.lab.host("b").address, "self"]);
      expect((await blue1.ping("10.20.1.2", { deadlineS: 0.1 })).lost).toEqual([1]);
      a.agent.signal("SIGCONT");
      const { misses } = await waitUntil(
        () => statusOf(a),
        ({ misses }) => misses.some(({ outcome }) => outcome === "from memory"),
        { what: "the l2miss" },
      );
      expect(misses[0]).toMatchObject({ kind: "l2miss", key: macs.blue2, outcome: "from memory" });
      expect((await blue1.ping("10.20.1.2", { count: 3, intervalMs: 100 })).lost).toEqual([]);
    });

    test("a stopped agent leaves its entries, and the next run takes them over and corrects changes", async () => {
      const a = it.lab.host("a");
      const before = await it.entries("a", 100);
      expect(before.neighbours).not.toEqual([]);
      await a.agent.stop("SIGTERM");
      expect(await it.entries("a", 100)).toEqual(before);
      expect(await blue1.ping("10.20.1.2", { count: 2 })).toMatchObject({ received: 2 });
      // While no agent listens here, blue-2 gets another second address.
      await it.call("PATCH", "/v1/vms/blue-2", {
        interfaces: [{ network: "blue", mac: macs.blue2, ips: ["10.20.1.2", "fd00:20::22"] }],
      });
      const agent = a.startAgent();
      // "in step" in agents up to 0.1.0 (npm run test:versions).
      await agent.waitForLog(({ msg }) => /^in (?:sync|step) with the controller$/.test(msg));
      expect((await it.entries("a", 100)).neighbours).toEqual([`10.20.1.2 lladdr ${macs.blue2} PERMANENT proto 78`]);
    });
  });
});
