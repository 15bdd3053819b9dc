// `nearmiss network|host|vm` as an operator runs them: the built command against a controller in a separate process.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { operatedForFile, runNearmiss } from "../support/binary.ts";
import { temporaryDirectory } from "../support/controller-process.ts";

const operated = operatedForFile(async (controller) => {
  await controller.ok("network", "create", "blue", "--vni", "100", "--subnet", "10.20.0.0/16", "-l", "env=prod");
  await controller.ok("host", "create", "a", "--vtep", "192.0.2.1");
  await controller.ok("vm", "create", "db-1", "--host", "a", "-i", "blue");
});

test("a network, a host and a VM are created, shown, changed and deleted", async () => {
  const { ok } = operated();
  const made = await ok("vm", "create", "web-1", "--host", "a", "-i", "blue", "-l", "tier=web");
  expect(made).toMatch(
    /^VM web-1 is created at revision \d+\nNAME +HOST +AGENT +NETWORKS +IPS +CONDITIONS +LABELS\nweb-1 +a +disconnected/,
  );
  expect(await ok("vm", "list", "--name", "web-1")).toBe(
    "NAME   HOST  AGENT         NETWORKS  IPS        CONDITIONS  LABELS\nweb-1  a     disconnected  blue      10.20.0.3  none        tier=web\n",
  );
  await ok(
    "vm",
    "update",
    "web-1",
    "-i",
    "name=eth0,port=tap7",
    "-i",
    "name=eth1,network=blue,ip=10.20.1.9",
    "-l",
    "tier-",
  );
  const vm = JSON.parse(await ok("vm", "get", "web-1", "-o", "json"));
  expect(vm).toMatchObject({ labels: {}, interfaces: [{ port: "tap7", ips: ["10.20.0.3"] }, { ips: ["10.20.1.9"] }] });
  expect(parseYaml(await ok("vm", "get", "web-1", "-o", "yaml"))).toEqual(vm);
  await ok("vm", "update", "web-1", "--remove-interface", "eth1");
  expect(await ok("vm", "get", "web-1")).not.toContain("eth1");
  expect(await ok("network", "get", "blue")).toMatch(/^name: +blue\nvni: +100\nsubnets: +10.20.0.0\/16\n/);
  expect(await ok("network", "update", "blue", "--mtu", "1400")).toContain("1400");
  expect(await ok("host", "list", "--network", "blue", "-o", "json")).toContain('"192.0.2.1"');
  expect(await ok("vm", "delete", "web-1", "--dry-run")).toBe("VM web-1 would be deleted\n");
  expect(await ok("vm", "delete", "web-1")).toBe("VM web-1 is deleted\n");
  expect(await ok("vm", "list", "--name", "web-1", "-o", "json")).toBe("[]\n");
});

test("a nested guest names its parent, and a VM without interfaces its owners", async () => {
  const { ok } = operated();
  await ok("vm", "create", "outer", "--host", "a", "-i", "network=blue,port=tap20");
  await ok("vm", "create", "inner", "--host", "a", "-i", "network=blue,parent=outer/eth0");
  expect(await ok("vm", "get", "inner")).toMatch(/^eth0: +blue .* in outer\/eth0$/m);
  await ok("vm", "update", "inner", "-i", "name=eth0,parent=none,port=tap21");
  expect(await ok("vm", "get", "inner")).toMatch(/^eth0: +blue .* port tap21$/m);
  await ok("vm", "update", "inner", "--remove-interface", "eth0");
  expect(await ok("vm", "get", "inner")).toMatch(/^belongs to: +blue$/m);
  await ok("vm", "update", "inner", "--owner-network", "red", "--owner-network", "blue");
  expect(await ok("vm", "get", "inner")).toMatch(/^belongs to: +blue, red$/m);
  for (const name of ["inner", "outer"]) await ok("vm", "delete", name);
});

test("a token's hosts and quota are set and listed", async () => {
  const { ok } = operated();
  const bounds = ["--host", "b", "--host", "a", "--max-vms", "20", "--max-vms-per-host", "5", "--max-addresses", "40"];
  await ok(
    "token",
    "create",
    "--role",
    "operator",
    "--network",
    "blue",
    ...bounds,
    "--max-hosts",
    "0",
    "--note",
    "bounded",
  );
  expect(await ok("token", "list")).toMatch(
    /operator +blue +a,b +20 VMs, 5 VMs per host, 40 addresses, 0 hosts .*bounded/,
  );
});

test("lists are followed through all their pages, and filtered by the controller", async () => {
  const { ok, run } = operated();
  const lines = Array.from({ length: 1_200 }, (_, n) =>
    JSON.stringify({ kind: "vm", name: `vm-${n}`, host: "a", interfaces: [], labels: { odd: String(n % 2) } }),
  );
  expect((await run(["import", "-"], { input: lines.join("\n") })).status).toBe(0);
  expect(JSON.parse(await ok("vm", "list", "--name", "vm-", "-o", "json"))).toHaveLength(1_200);
  expect(JSON.parse(await ok("vm", "list", "-l", "odd=1", "--name", "vm-11", "-o", "json"))).toHaveLength(56);
});

test("lists print names, more columns, no header, and another order; hosts also by their state", async () => {
  const { ok, run } = operated();
  for (const name of ["sort-10", "sort-9"])
    await ok("vm", "create", name, "--host", "a", "-i", `network=blue,port=p1-${name.slice(5)}`);
  const sorts = ["--name", "sort-"];
  expect(await ok("vm", "list", ...sorts, "-q")).toBe("sort-10\nsort-9\n");
  expect(await ok("vms", ...sorts, "-o", "name", "--sort", "name")).toBe("sort-9\nsort-10\n");
  expect(await ok("vms", ...sorts, "-o", "name", "--sort", "-name")).toBe("sort-10\nsort-9\n");
  expect(JSON.parse(await ok("vms", ...sorts, "--json", "--sort", "name"))[0].name).toBe("sort-9");
  expect(await ok("vms", ...sorts, "--no-headers")).toMatch(/^sort-10 {2}a .*\nsort-9 {3}a .*\n$/);
  expect(await ok("vms", ...sorts, "-o", "wide")).toMatch(
    /^NAME .* MACS +PORTS +DESCRIPTION +REVISION\nsort-10 .* p1-10 +- +\d+\n/,
  );
  expect(await ok("networks", "-o", "wide")).toMatch(/ GATEWAYS +DESCRIPTION +REVISION\n/);
  expect(await ok("hosts", "-o", "wide")).toMatch(/ LAST SEEN +REGISTERED BY +DESCRIPTION +REVISION\n/);
  expect(await ok("hosts", "-q", "--disconnected")).toBe("a\n");
  // It has VMs, and no agent.
  expect(await ok("hosts", "-q", "--problems")).toBe("a\n");
  expect(await ok("vms", "-q", "--problems")).toBe("");
  for (const [args, message] of [
    [["--sort", "colour"], /no such column: use name, host, agent/],
    [["--watch", "--sort", "name"], /--watch prints a table/],
    [["-q", "-o", "json"], /cannot be used with/],
    [["--no-trunc"], /Nothing is shortened/],
  ] as const) {
    const { status, stderr } = await run(["vm", "list", ...args]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  }
  for (const name of ["sort-10", "sort-9"]) await ok("vm", "delete", name);
});

test.each<[string, string[], number, RegExp]>([
  ["3: a filter that names nothing", ["vm", "list", "--network", "nope"], 3, /no network is named "nope"/],
  ["0: done", ["network", "list"], 0, /^$/],
  ["1: refused", ["vm", "create", "x", "--host", "nowhere"], 1, /no host is named "nowhere"\nCreate it first/],
  [
    "2: an empty token file",
    ["vm", "list", "--token-file", "/dev/null"],
    2,
    /^nearmiss: \/dev\/null \(--token-file\) is empty\. Nothing was sent/,
  ],
  ["2: an unknown command", ["vmm"], 2, /Did you mean `nearmiss vm`\?\nCommands: status, network,/],
  ["2: an unknown flag", ["vm", "list", "--hots", "a"], 2, /Did you mean --host\?/],
  ["2: a flag that makes no sense", ["vm", "create", "x", "--host", "a", "-i", "ip=1"], 2, /network=blue,ip=1/],
  ["2: nothing to change", ["vm", "update", "db-1"], 2, /update --help/],
  [
    "2: a token file that is not there",
    ["vm", "list", "--token-file", "/none"],
    2,
    /cannot read the token: \/none \(--token-file\) does not exist/,
  ],
  ["3: not found", ["vm", "get", "nobody"], 3, /no VM is named "nobody"\n`list` shows the names/],
  ["4: taken", ["network", "create", "blue", "--vni", "7", "--subnet", "10.0.0.0/8"], 4, /`update`/],
  ["4: in use", ["host", "delete", "a"], 4, /db-1/],
  [
    "4: changed concurrently",
    ["host", "update", "a", "--if-revision", "1", "--port", "5"],
    4,
    /`get` shows its current state/,
  ],
  [
    "5: unreachable",
    ["vm", "list", "--controller", "http://127.0.0.1:1"],
    5,
    /cannot be reached: nothing listens on 127.0.0.1 port 1\nCheck/,
  ],
])("exit status %s", async (_name, args, status, message) => {
  const finished = await operated().run(args);
  expect(finished.stderr).toMatch(message);
  expect(finished.status).toBe(status);
});

test("a flag takes precedence over the environment, and that over the file", async () => {
  const { directory, env, url } = operated();
  const file = join(directory, "settings.toml");
  const { NEARMISS_CONTROLLER: _url, NEARMISS_TOKEN_FILE: _token, ...bare } = env;
  const run = (more: Record<string, string>, ...args: string[]) =>
    runNearmiss(["network", "list", ...args], { env: { ...bare, ...more } });
  // Paths in the file are relative to it.
  writeFileSync(file, `controller = "${url}"\ntoken-file = "nearmiss.db.admin-token"\n`);
  expect((await run({ NEARMISS_CONFIG: file })).status).toBe(0);
  expect((await run({}, "--config", file)).status).toBe(0);
  expect((await run({ NEARMISS_CONFIG: file, NEARMISS_CONTROLLER: "http://127.0.0.1:1" })).status).toBe(5);
  const flag = ["--controller", url];
  expect((await run({ NEARMISS_CONFIG: file, NEARMISS_CONTROLLER: "http://127.0.0.1:1" }, ...flag)).status).toBe(0);
  expect((await run({ NEARMISS_CONFIG: file, NEARMISS_TOKEN: "nm_viewer_wrong" })).status).toBe(1);
});

test.each([
  ["controller = 7", /settings.toml: controller must be a string in quotes/],
  ['contoller = "x"', /"contoller" is not a valid setting: use controller, token-file, ca/],
  ['controller = "ftp://x"', /controller must be a URL such as/],
  ["controller =", /settings.toml:1:\d+ is not valid TOML/],
])("settings that contain %s are refused with instructions", async (text, message) => {
  const file = join(temporaryDirectory(), "settings.toml");
  writeFileSync(file, text);
  const finished = await runNearmiss(["vm", "list", "--config", file]);
  expect(finished.status).toBe(2);
  expect(finished.stderr).toMatch(message);
});

test("a creation whose answer is lost is sent again with the same key", async () => {
  const keys: unknown[] = [];
  const server = createServer((request, response) => {
    keys.push(request.headers["idempotency-key"]);
    if (keys.length === 1) request.socket.resetAndDestroy();
    else response.end(JSON.stringify({ name: "a", vtep: "192.0.2.1", labels: {}, problems: [], revision: 1 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const at = ["--controller", `http://127.0.0.1:${port}`];
  const finished = await runNearmiss(["host", "create", "a", "--vtep", "192.0.2.1", ...at]);
  expect(finished.stderr).toBe("");
  expect(keys).toHaveLength(2);
  expect(keys[0]).toMatch(/^"[0-9a-f-]{36}"$/);
  expect(keys[1]).toBe(keys[0]);
});

test("a wait for a host without an agent ends with status 1 and the reason; the VM is registered", async () => {
  const finished = await operated().run(["vm", "create", "wait-1", "--host", "a", "--wait", "--timeout", "1s"]);
  expect(finished.status).toBe(1);
  expect(finished.stdout).toMatch(/^VM wait-1 is created .*\nnot ready: host "a" has no agent connected\n$/s);
  expect(await operated().ok("vm", "get", "wait-1")).toContain("host:         a\n");
});

test("colours are for terminals, and NO_COLOR disables them there too", async () => {
  const { run } = operated();
  const coloured = "\u001b[";
  expect((await run(["host", "list"])).stdout).not.toContain(coloured);
  expect((await run(["host", "list"], { env: { FORCE_COLOR: "1" } })).stdout).toContain(coloured);
  expect((await run(["host", "list"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stdout).not.toContain(coloured);
  expect((await run(["host", "list", "-o", "json"], { env: { FORCE_COLOR: "1" } })).stdout).not.toContain(coloured);
});

test.each([
  ["host", "list"],
  ["token", "list"],
  ["token", "create", "--role", "viewer"],
  ["audit"],
  ["events"],
  ["export"],
])("%s %s prints JSON by -o json and by --json, and YAML", async (...args) => {
  const { ok } = operated();
  for (const flags of [["-o", "json"], ["--json"]]) {
    const text = await ok(...args, ...flags);
    // One value, or one object per line for output that is produced while it is read.
    const values = ["audit", "events", "export"].includes(args[0] ?? "") ? text.trimEnd().split("\n") : [text];
    for (const value of values) expect(JSON.parse(value)).toBeTypeOf("object");
  }
  const documents = parseAllDocuments(await ok(...args, "-o", "yaml"));
  for (const document of documents) expect(document.toJS()).toBeTypeOf("object");
});

test("two formats at once are refused", async () => {
  const finished = await operated().run(["host", "list", "--json", "-o", "yaml"]);
  expect(finished.status).toBe(2);
  expect(finished.stderr).toContain("option '--json' cannot be used with option '-o, --output <format>'");
});
