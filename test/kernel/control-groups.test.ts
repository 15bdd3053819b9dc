// docs/kernel.md: programs of control groups decide about sockets of processes, and about no tunnelled packet.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { controlGroups, cutOff } from "../support/bpf.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mounted = controlGroups();

describeKernel("a control group with a program that drops everything", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  const group = join(mounted ?? "", `nearmiss-${process.pid}`);
  afterAll(async () => {
    await it.lab.host("a").agent.stop();
    if (mounted) rmdirSync(group);
  });

  test.skipIf(!mounted)("cuts its agent off, and no guest: also where the agent has made the tunnel", async () => {
    const a = it.lab.host("a");
    mkdirSync(group);
    // Sockets belong to the group of the process that opens them, and so does that of a tunnel device.
    writeFileSync(join(group, "cgroup.procs"), `${a.agent.pid}`);
    await it.network("blue", 100);
    const guest = await it.vm("blue-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24", "fd00:20::1/64"]);
    await it.vm("blue-2", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24", "fd00:20::2/64"]);
    for (const to of ["10.20.1.2", "fd00:20::2"]) expect((await guest.ping(to)).received).toBe(1);
    const end = cutOff(group);
    try {
      // Not by `ip netns exec`, which mounts another /sys.
      const inside = (command: string) =>
        spawnSync("nsenter", [`--net=/run/netns/${a.namespace}`, "sh", "-c", command], { encoding: "utf8" });
      const join = `echo $$ > ${group}/cgroup.procs`;
      const ping = `ping -c 1 -W 1 ${it.lab.host("b").address}`;
      expect(inside(ping).status).toBe(0);
      expect(inside(`${join} && ${ping}`).stdout).toContain("1 packets transmitted, 0 received");
      for (const to of ["10.20.1.2", "fd00:20::2"])
        expect((await guest.ping(to, { count: 5, intervalMs: 50 })).received).toBe(5);
    } finally {
      end();
    }
    await waitFor(async () => (await guest.ping("10.20.1.2")).received === 1, { what: "an answer" });
  });
});
