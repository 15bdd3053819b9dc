// apply, diff, export and import, from a file to a controller in a separate process.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Operated, startOperated } from "../support/binary.ts";

const fleet = `
networks:
  blue: {vni: 100, subnets: [10.20.1.0/24], labels: {env: prod}}
hosts:
  a: {vtep: 192.0.2.1}
  b: {vtep: 192.0.2.2}
vms:
  web-1:
    host: a
    interfaces: [{network: blue}]
  db-1:
    host: b
    interfaces: [{network: blue, mac: 52:54:00:00:00:02, ips: [10.20.1.77]}]
`;

/** Writes the file, and runs the command on it. */
function on(controller: Operated, text: string) {
  const file = join(controller.directory, "fleet.yaml");
  writeFileSync(file, text);
  return (command: "apply" | "diff", ...flags: string[]) => controller.run([command, "-f", file, ...flags]);
}

test("a file is applied in one revision, and applying it again changes nothing", async () => {
  const controller = await startOperated();
  const run = on(controller, fleet);
  const before = await run("diff");
  expect(before.status).toBe(6);
  expect(before.stdout).toContain("5 to create, 0 to update, 0 to delete, 0 unchanged\n");
  const applied = await run("apply", "--yes");
  expect(applied).toMatchObject({ status: 0, stderr: "" });
  expect(applied.stdout).toMatch(/5 created, 0 updated, 0 deleted, 0 unchanged at revision 1\n$/);
  const address = JSON.parse(await controller.ok("vm", "get", "web-1", "-o", "json")).interfaces[0].ips[0];
  expect(await run("diff")).toEqual({
    status: 0,
    stdout: "0 to create, 0 to update, 0 to delete, 5 unchanged\n",
    stderr: "",
  });
  expect((await run("apply")).stdout).toMatch(/^nothing to do/);

  const changed = on(controller, fleet.replace("host: a\n", "host: b\n").replace(/ {2}db-1:[\s\S]*$/, ""));
  expect((await changed("diff")).stdout).toMatch(/~ vm web-1\n {4}host: a → b\n.*\nNot in the file, .*: vm db-1\n/);
  expect((await changed("apply", "--yes")).stdout).toContain(
    "0 created, 1 updated, 0 deleted, 0 unchanged at revision 2",
  );
  // Assigned addresses stay.
  const web = JSON.parse(await controller.ok("vm", "get", "web-1", "-o", "json"));
  expect([web.host, web.interfaces[0].ips[0]]).toEqual(["b", address]);
  expect((await changed("apply", "--prune", "--dry-run")).stdout).toContain("1 deleted, 0 unchanged: a dry run");
  expect((await changed("apply", "--prune", "--yes", "-o", "json")).stdout).toContain('"deleted": 1');
  expect((await controller.run(["vm", "get", "db-1"])).status).toBe(3);
});

test("apply and import wait for the hosts that they concern, and end with 1 where one has not confirmed", async () => {
  const controller = await startOperated();
  const applied = await on(controller, fleet)("apply", "--yes", "--wait", "--timeout", "1s");
  expect(applied.status).toBe(1);
  expect(applied.stdout).toMatch(
    /at revision 1\n0 of 2 hosts confirmed\n {2}a has not: no agent is connected.*\n {2}b has not: /,
  );
  const file = join(controller.directory, "all.ndjson");
  writeFileSync(file, await controller.ok("export"));
  const imported = await controller.run(["import", file, "--quiet", "--wait"]);
  expect(imported).toEqual({
    status: 0,
    stdout: "0 created, 0 updated, 0 deleted, 5 unchanged at revision 1\n0 of 0 hosts confirmed\n",
    stderr: "",
  });
});

test("conflicts are refused as a whole with status 4, invalid input with status 2 before anything is sent", async () => {
  const controller = await startOperated();
  await on(controller, fleet)("apply", "--yes");
  const taken = await on(controller, fleet.replace("{network: blue}]", "{network: blue, ips: [10.20.1.77]}]"))(
    "apply",
    "--yes",
  );
  expect(taken.status).toBe(4);
  expect(taken.stderr).toMatch(
    /the controller refuses the fleet, and nothing was changed:\n {2}\S*fleet\.yaml:\d+:\d+: .*10\.20\.1\.77/,
  );
  const invalid = await on(controller, fleet.replace("vni: 100", "vni: 0"))("apply", "--yes");
  expect(invalid).toMatchObject({ status: 2, stdout: "" });
  expect(invalid.stderr).toMatch(/fleet.yaml:3:15: networks\.blue\.vni/);
  const unasked = await on(controller, fleet.replace("prod", "test"))("apply");
  expect(unasked.status).toBe(2);
  expect(unasked.stderr).toContain("cannot be confirmed; nothing was changed: add --yes");
  expect((await on(controller, fleet)("diff")).status).toBe(0);
});

test("an export is applied or imported by another controller, with the same result", async () => {
  const [from, to, third] = [await startOperated(), await startOperated(), await startOperated()];
  await on(from, fleet)("apply", "--yes");
  const ndjson = await from.ok("export");
  const yaml = await from.ok("export", "-o", "yaml");
  expect((await to.run(["apply", "--yes", "-f", "-"], { input: yaml })).status).toBe(0);
  expect(await to.ok("export", "-o", "yaml")).toBe(yaml);
  const imported = await third.run(["import", "-"], { input: ndjson });
  expect(imported.stdout).toContain("created    vm       web-1\n");
  expect(imported.stdout).toMatch(/5 created, 0 updated, 0 deleted, 0 unchanged at revision 1\n$/);
  expect(await third.ok("export", "-o", "yaml")).toBe(yaml);
});

test("an import names each bad line, and changes nothing", async () => {
  const controller = await startOperated();
  const input = '{"kind":"host","name":"a","vtep":"192.0.2.1"}\n{"kind":"host","name":"b"}\n';
  const refused = await controller.run(["import", "-"], { input });
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toContain("line 2: vtep is required");
  expect(await controller.ok("host", "list", "-o", "json")).toBe("[]\n");
});

test("several files are applied as one, and what the controller refuses is named where it is in them", async () => {
  const controller = await startOperated();
  const paths = ["networks.yaml", "rest.yaml"].map((name) => join(controller.directory, name));
  const [networks = "", rest = ""] = paths;
  const apply = () => controller.run(["apply", "-f", networks, "-f", rest, "--yes"]);
  writeFileSync(networks, "networks:\n  blue: {vni: 100, subnets: [10.20.1.0/24]}\n");
  writeFileSync(
    rest,
    "hosts:\n  a: {vtep: 192.0.2.1}\nvms:\n  # on which host?\n  web-1:\n    host: nowhere\n    interfaces: []\n",
  );
  const refused = await apply();
  expect(refused.status).toBe(1);
  expect(refused.stderr).toBe(
    "nearmiss: the controller refuses the fleet, and nothing was changed:\n" +
      `  ${rest}:5:3: VM "web-1": no host is named "nowhere"\n`,
  );
  writeFileSync(rest, "hosts:\n  a: {vtep: 192.0.2.1}\nvms:\n  web-1: {host: a, interfaces: [{network: blue}]}\n");
  expect((await apply()).stdout).toMatch(/3 created, 0 updated, 0 deleted, 0 unchanged at revision 1\n$/);
  const twice = await controller.run(["diff", "-f", "-", "-f", "-"]);
  expect(twice).toMatchObject({ status: 2, stderr: "nearmiss: -f - is standard input: name it once\n" });
});

test("YAML given to import is one error, with the command that takes it", async () => {
  const controller = await startOperated();
  const file = join(controller.directory, "fleet.yaml");
  writeFileSync(file, fleet.repeat(20));
  for (const args of [
    ["import", file],
    ["import", "-"],
  ]) {
    const { status, stderr } = await controller.run(args, { input: fleet });
    expect(status).toBe(1);
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(/^nearmiss: (standard input|.*fleet\.yaml) is not NDJSON, .* Nothing was changed\.$/),
      expect.stringContaining("`nearmiss apply -f`"),
      "",
    ]);
  }
});
