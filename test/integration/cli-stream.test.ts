// Commands that run until they are interrupted, and moves that wait: the built command against real controllers.
import { expect, test } from "vitest";
import { cleanEnvironment, operatedForFile, runNearmiss, startNearmiss, startOperated } from "../support/binary.ts";
import { type AgentClient, populate, startController } from "./harness.ts";

const operated = operatedForFile(async (controller) => {
  await controller.ok("network", "create", "blue", "--vni", "100", "--subnet", "10.20.0.0/16");
  await controller.ok("host", "create", "a", "--vtep", "192.0.2.1");
  await controller.ok("host", "create", "b", "--vtep", "192.0.2.2");
});

test("events prints the log to its end, with a readable line for each change", async () => {
  const { ok, run } = operated();
  await ok("vm", "create", "log-1", "--host", "a", "-i", "network=blue,ip=10.20.7.1,mac=52:54:00:00:07:01");
  await ok("vm", "move", "log-1", "b");
  await ok("vm", "update", "log-1", "--host", "a", "-l", "tier=db", "-i", "name=eth0,port=tap0");
  await ok("vm", "delete", "log-1");
  const lines = (await ok("events", "--since", "3")).trimEnd().split("\n");
  const texts = lines
    .filter((line) => line.includes("log-1"))
    .map((line) => line.replace(/^[\d-]+ [\d:]+Z {2}\d+\.0 +/, ""));
  expect(texts).toEqual([
    "vm log-1 created on a: eth0 blue 52:54:00:00:07:01 10.20.7.1",
    "vm log-1 moved a → b",
    "vm log-1 moved b → a, interfaces.eth0.port: (none) → tap0; labels.tier: (none) → db",
    "vm log-1 deleted on a",
  ]);
  expect(await ok("events")).toContain("network blue created: VNI 100, 10.20.0.0/16\n");
  const all = (await ok("events", "--type", "nearmiss.host", "-o", "json")).trimEnd().split("\n");
  expect(all.map((line) => JSON.parse(line).subject)).toEqual(["hosts/a", "hosts/b"]);
  const refused = await run(["events", "--type", "nearmiss.tree"]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('no event is of type "nearmiss.tree"');
  expect((await run(["events", "--since", "9999"])).stderr).toMatch(/beyond the log.*\nBegin with `nearmiss export`/);
  expect((await run(["events", "--since", "yesterday"])).status).toBe(2);
});

test("events --follow continues across a restart of the controller, without gap or repetition", async () => {
  const own = await startOperated();
  const follower = startNearmiss(["events", "--since", "0", "--follow"], own.env);
  await own.ok("host", "create", "a", "--vtep", "192.0.2.1");
  await follower.shows("host a created");
  await own.restart();
  await follower.complains("trying again");
  await own.ok("host", "create", "b", "--vtep", "192.0.2.2");
  const shown = await follower.shows("host b created");
  expect(shown.split("\n").map((line) => line.slice(22))).toEqual([
    "1.0       host a created: 192.0.2.1",
    "2.0       host b created: 192.0.2.2",
    "",
  ]);
});

test("list --watch prints changes that match its filters, and resources that no longer match", async () => {
  const { ok, env } = operated();
  await ok("vm", "create", "watch-1", "--host", "a", "-i", "blue");
  const watch = startNearmiss(["vm", "list", "--name", "watch-", "--host", "a", "--watch"], env);
  await watch.shows(/^NAME.*\nwatch-1 /);
  await ok("vm", "create", "watch-2", "--host", "a", "-l", "tier=web");
  await ok("vm", "create", "other", "--host", "a");
  await ok("vm", "create", "watch-3", "--host", "b");
  await ok("vm", "move", "watch-1", "b");
  await ok("vm", "delete", "watch-2");
  const shown = await watch.shows(/watch-2 +gone/);
  expect(
    shown
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(0, 2).join(" ")),
  ).toEqual(["NAME HOST", "watch-1 a", "watch-2 a", "watch-1 gone", "watch-2 gone"]);
});

test("resolve prints the location of an address, by IP and by MAC", async () => {
  const { ok, run } = operated();
  await ok("vm", "create", "res-1", "--host", "b", "-i", "network=blue,ip=10.20.8.1,mac=52:54:00:00:08:01");
  expect(await ok("resolve", "--network", "blue", "10.20.8.1")).toMatch(
    /^vm: +res-1\nip: +10\.20\.8\.1\nmac: +52:54:00:00:08:01\nhost: +b\nvtep: +192\.0\.2\.2 port 4789\n/,
  );
  expect(JSON.parse(await ok("resolve", "--vni", "100", "52:54:00:00:08:01", "-o", "json")).vm).toBe("res-1");
  expect((await run(["resolve", "--network", "blue", "10.20.8.2"])).status).toBe(3);
  expect((await run(["resolve", "10.20.8.1"])).stderr).toContain("either --network or --vni");
});

/** Acknowledges every change like a host whose kernel is up to date. */
function follow(agent: AgentClient): void {
  void agent.frame("changes").then(({ asOf }) => agent.send({ type: "applied", revision: asOf, problems: [] }));
}

test("vm move --wait names each host as it confirms, and those that have not confirmed", async () => {
  const here = await startController();
  await populate(here);
  const env = { ...cleanEnvironment("/nonexistent"), NEARMISS_CONTROLLER: `http://${here.base}` };
  follow(await here.agent("a").connect());
  follow(await here.agent("b").connect());
  const moved = await runNearmiss(["vm", "move", "web-1", "b", "--wait"], { env });
  expect(moved).toMatchObject({ status: 0, stderr: "" });
  expect(moved.stdout).toMatch(
    /^revision 8: 2 hosts to confirm\n {2}[ab] confirmed after \d+ ms \(1 of 2\)\n {2}[ab] confirmed after \d+ ms \(2 of 2\)\nVM web-1 moves a → b, revision 8: 2 of 2 hosts confirmed, slowest \d+ ms\n$/,
  );
  // c has no agent: the move remains in effect, and the exit status says that a host has not confirmed.
  const late = await runNearmiss(["vm", "move", "web-1", "c", "--wait", "--timeout", "1s", "-o", "json"], { env });
  expect(late.status).toBe(1);
  expect(JSON.parse(late.stdout)).toMatchObject({ from: "b", to: "c", unconfirmed: expect.anything() });
  expect((await runNearmiss(["vm", "move", "web-1", "nowhere"], { env })).stderr).toContain("nowhere");
  expect((await runNearmiss(["vm", "get", "web-1"], { env })).stdout).toMatch(/host: +c\n/);
});

test("events of the last time are printed, and all where the log is younger", async () => {
  const { ok, run } = operated();
  const all = await ok("events");
  expect(all).not.toBe("");
  expect(await ok("events", "--since", "1h")).toBe(all);
  const { status, stderr } = await run(["events", "--since", "1x"]);
  expect([status, stderr]).toEqual([2, expect.stringContaining("or a time such as 1h")]);
});
