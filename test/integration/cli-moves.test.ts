// Live migrations and dead hosts from an operator's point of view.
import { expect, test } from "vitest";
import { type Operated, startOperated } from "../support/binary.ts";

async function stand(): Promise<Operated> {
  const controller = await startOperated();
  const lines = [
    { kind: "network", name: "blue", vni: 100, subnets: ["10.20.1.0/24"] },
    ...["a", "b", "c"].map((name, i) => ({ kind: "host", name, vtep: `192.0.2.${i + 1}` })),
    ...["web-1", "web-2"].map((name) => ({ kind: "vm", name, host: "a", interfaces: [{ network: "blue" }] })),
  ];
  const input = lines.map((line) => JSON.stringify(line)).join("\n");
  expect((await controller.run(["import", "-q", "-"], { input })).status).toBe(0);
  return controller;
}

test("a live migration is prepared, aborted, prepared again and committed", async () => {
  const { ok, run } = await stand();
  expect(await ok("vm", "prepare", "web-1", "b")).toMatch(/^VM web-1 is prepared on b and stays on a, revision 2: /);
  expect(await ok("vm", "get", "web-1")).toMatch(/host: +a\nmigrates to: +b\n/);
  expect(await ok("vm", "abort", "web-1")).toMatch(/^VM web-1 stays on a, revision 3: /);
  await ok("vm", "prepare", "web-1", "b");
  // The commit names another host than the prepared one: the VM was moved in between.
  expect((await run(["vm", "commit", "web-1", "c"])).status).toBe(4);
  expect(await ok("vm", "commit", "web-1", "b")).toMatch(/^VM web-1 moves a → b, revision 5: /);
  expect(await ok("vm", "get", "web-1")).not.toContain("migrates to");
});

test("a dead host is marked down, evacuated and deleted", async () => {
  const { ok, run } = await stand();
  expect(await ok("host", "down", "a")).toMatch(/\na +192\.0\.2\.1 +down /);
  const refused = await run(["vm", "create", "web-3", "--host", "a"]);
  expect(refused).toMatchObject({ status: 4, stdout: "" });
  expect(refused.stderr).toContain('"a" is marked down');
  const itself = await run(["host", "evacuate", "a", "--to", "a"]);
  expect(itself).toMatchObject({ status: 1, stdout: "" });
  expect(itself.stderr).toContain('--to: "a" is the host that is being evacuated');
  const planned = await ok("host", "evacuate", "a", "--to", "b", "--to", "c", "--dry-run");
  expect(planned).toMatch(/^web-1 → [bc]\nweb-2 → [bc]\nhost a: 2 VMs, a dry run: /);
  expect(JSON.parse(await ok("vm", "list", "--host", "a", "-o", "json"))).toHaveLength(2);
  expect(await ok("host", "evacuate", "a", "--to", "b", "--to", "c")).toMatch(/\nhost a: 2 VMs, revision 3: /);
  expect(await ok("vm", "list", "--host", "a", "-o", "json")).toBe("[]\n");
  expect(await ok("host", "up", "a")).toMatch(/\na +192\.0\.2\.1 +disconnected /);
  await ok("vm", "move", "web-1", "a");
  await ok("host", "down", "a");
  expect((await run(["host", "delete", "a"])).status).toBe(4);
  expect(await ok("host", "delete", "a", "--force")).toBe("host a is deleted\n");
  expect((await run(["vm", "get", "web-1"])).status).toBe(3);
});
