// Deleted addresses are removed everywhere; answered ones stay when the programs stop.
import { waitUntil } from "../../lab/wait.ts";
import { blue, blueCache, blueDb, blueWeb } from "../cast.ts";
import type { Stage } from "../stage.ts";
import { formatMs } from "../story.ts";

export async function deleteVm(stage: Stage): Promise<void> {
  const { story, lab, checks } = stage;
  story.chapter("A VM is deleted");
  story.say(`${blueWeb.name} talks to ${blueCache.name}, so both hosts learn of the other side.`);
  story.blank();
  await stage.talk(blueWeb, blueCache, blueCache.ipv4);
  story.blank();
  story.say(`Now ${blueCache.name} is shut down and deleted. Host a still has its entries, and is notified at once.`);
  story.blank();
  await stage.guest(blueCache).remove();
  stage.guests.delete(blueCache.name);
  const startMs = performance.now();
  await stage.call("DELETE", `/v1/vms/${blueCache.name}`);
  const entries = async () => {
    const host = lab.host("a");
    const neighbours = await host.exec(["ip", "neigh", "show", "dev", `nmv${blue.vni}`]);
    return (neighbours + (await host.exec(["bridge", "fdb", "show", "dev", `nmv${blue.vni}`])))
      .split("\n")
      .filter((line) => line.includes(blueCache.mac));
  };
  const left = await waitUntil(entries, (lines) => lines.length === 0, {
    what: "host a to forget",
    deadlineMs: 3_000,
  }).catch(entries);
  const tookMs = performance.now() - startMs;
  story.event("operator", "DELETE", `/v1/vms/${blueCache.name}`);
  await stage.showTables("a", blue);
  story.blank();
  const seen = left.length === 0 ? `gone within ${formatMs(tookMs)}` : `left: ${left.join("; ")}`;
  checks.expect(`Host a has no entries of ${blueCache.name}`, left.length === 0, seen);
  const result = await stage.guest(blueWeb).ping(blueCache.ipv4, { count: 1, deadlineS: 1 });
  checks.expect(
    `${blueCache.name} answers no more`,
    result.received === 0,
    `${result.received} of ${result.sent} answered`,
  );
}

export async function stopPrograms(stage: Stage): Promise<void> {
  const { story, lab, checks } = stage;
  story.chapter("The programs stop, the network does not");
  story.say(
    "All agents and the controller are stopped. What they answered is in the kernels, and traffic needs no more.",
  );
  story.blank();
  const statuses = await Promise.all(
    [...lab.hosts.map((host) => host.agent), lab.controller].map((each) => each.stop()),
  );
  checks.expect(
    "All programs end cleanly",
    statuses.every((status) => status === 0),
    `exit status ${statuses.join(", ")}`,
  );
  await stage.talk(blueWeb, blueDb, blueDb.ipv4);
  await stage.talk(blueWeb, blueDb, blueDb.ipv6);
}

/** For `--keep`: the same programs on the same database. */
export async function restartPrograms(stage: Stage): Promise<void> {
  await stage.lab.startController();
  for (const host of stage.lab.hosts) host.startAgent();
}
