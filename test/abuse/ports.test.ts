// A port of a host belongs to one interface and to nested guests that declare it as their parent: a tenant that could
// name another's port would cut that VM off, because the agent pins and filters a port by its registration.
import { describe, expect, test } from "vitest";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { parseVm, type Vm } from "../../schema/rest/index.ts";
import {
  type AgentClient,
  type Controller,
  call,
  populate,
  problemType,
  startController,
  startSecured,
  temporaryDatabase,
} from "../integration/harness.ts";
import { loadAll } from "../support/stored.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const on = (host: string, more: object, network = "blue") => ({ host, interfaces: [{ network, ips: [], ...more }] });
const lines = (...vms: readonly object[]) => vms.map((vm) => JSON.stringify({ kind: "vm", ...vm })).join("\n");

async function populated(): Promise<Controller> {
  const controller = await startController();
  await populate(controller);
  return controller;
}

type Answer = Awaited<ReturnType<Controller["request"]>>;
const told = ({ status, body }: Answer) => [status, problemType(body)];
const exported = async (controller: Controller): Promise<string> => call(controller, 200, "GET", "/v1/export");

/** By name, requests after which two interfaces would have port tap1 on host a. "owner" has it there, "late" on b. */
const doubles: Readonly<Record<string, (controller: Controller) => Promise<Answer>>> = {
  POST: ({ request }) => request("POST", "/v1/vms", { name: "x", ...on("a", { port: "tap1" }) }),
  "POST as a dry run": ({ request }) =>
    request("POST", "/v1/vms?dryRun=true", { name: "x", ...on("a", { port: "tap1" }) }),
  PUT: ({ request }) => request("PUT", "/v1/vms/x", on("a", { port: "tap1" })),
  "PUT in another network": ({ request }) => request("PUT", "/v1/vms/x", on("a", { port: "tap1" }, "red")),
  "PUT of two interfaces": ({ request }) =>
    request("PUT", "/v1/vms/x", {
      host: "c",
      interfaces: ["blue", "red"].map((network) => ({ network, port: "tap1" })),
    }),
  "PATCH of the port": ({ request }) => request("PATCH", "/v1/vms/web-1", { interfaces: { eth0: { port: "tap1" } } }),
  "PATCH of the host": ({ request }) => request("PATCH", "/v1/vms/late", { host: "a" }),
  move: ({ request }) => request("POST", "/v1/vms/late/move", { host: "a" }),
  prepare: ({ request }) => request("POST", "/v1/vms/late/prepare", { host: "a" }),
  evacuation: ({ request }) => request("POST", "/v1/hosts/b/evacuate", { to: ["a"] }),
};

describe("a port that belongs to an interface on the host", () => {
  test.each(Object.entries(doubles))("is not assigned to another interface: %s", async (_, attempt) => {
    const controller = await populated();
    await call(controller, 201, "PUT", "/v1/vms/owner", on("a", { port: "tap1" }));
    await call(controller, 201, "PUT", "/v1/vms/late", on("b", { port: "tap1" }));
    const before = await exported(controller);
    const answer = await attempt(controller);
    expect(told(answer)).toEqual([409, "port-conflict"]);
    expect(answer.body.detail).toContain('port "tap1" is in use on host');
    expect(await exported(controller)).toBe(before);
  });

  test("is not assigned twice in one import, and the refusal names both lines", async () => {
    const controller = await populated();
    const body = lines({ name: "x", ...on("a", { port: "tap1" }) }, { name: "y", ...on("a", { port: "tap1" }) });
    const answer = await controller.request("POST", "/v1/import", body, ndjson);
    expect(told(answer)).toEqual([422, "import-refused"]);
    expect(answer.body.errors.map((each: { line: number; type: string }) => [each.line, each.type])).toEqual([
      [1, "urn:nearmiss:problem:port-conflict"],
      [2, "urn:nearmiss:problem:port-conflict"],
    ]);
  });

  test("is also taken on the host that its VM is prepared on, and free when the migration ends", async () => {
    const controller = await populated();
    await call(controller, 201, "PUT", "/v1/vms/owner", on("a", { port: "tap1" }));
    await call(controller, 200, "POST", "/v1/vms/owner/prepare", { host: "b" });
    const put = () => controller.request("PUT", "/v1/vms/x", on("b", { port: "tap1" }));
    expect(told(await put())).toEqual([409, "port-conflict"]);
    await call(controller, 200, "POST", "/v1/vms/owner/abort", {});
    expect((await put()).status).toBe(201);
  });

  test("moves with its VM, and is swapped and handed over in one import", async () => {
    const controller = await populated();
    await call(controller, 201, "PUT", "/v1/vms/x", on("a", { port: "tap1" }));
    await call(controller, 201, "PUT", "/v1/vms/y", on("a", { port: "tap2" }));
    const swap = lines({ name: "x", ...on("a", { port: "tap2" }) }, { name: "y", ...on("a", { port: "tap1" }) });
    expect((await controller.request("POST", "/v1/import", swap, ndjson)).status).toBe(200);
    await call(controller, 200, "POST", "/v1/vms/x/move", { host: "b" });
    await call(controller, 201, "PUT", "/v1/vms/z", on("a", { port: "tap2" }));
    await call(controller, 204, "DELETE", "/v1/vms/y");
    await call(controller, 200, "PATCH", "/v1/vms/z", { interfaces: { eth0: { port: "tap1" } } });
  });

  test("is named with its VM only to callers who may see that VM", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    await call(secured.admin, 201, "PUT", "/v1/vms/hidden", on("a", { port: "tap1" }, "red"));
    const blue = secured.as((await secured.issue({ role: "operator", networks: ["blue"] })).token);
    const attempt = async (caller: Controller) =>
      (await caller.request("PUT", "/v1/vms/x", on("a", { port: "tap1" }))).body.detail;
    expect(await attempt(blue)).toBe(
      'VM "x", interface "eth0": port "tap1" is in use on host "a": name another port, or none',
    );
    expect(await attempt(secured.admin)).toContain('VM "hidden"');
    const parent = await blue.request("PUT", "/v1/vms/x", on("a", { parent: "hidden/eth0" }));
    const absent = await blue.request("PUT", "/v1/vms/x", on("a", { parent: "absent/eth0" }));
    expect(parent.body.detail).toBe(absent.body.detail.replace("absent", "hidden"));
    expect(told(parent)).toEqual([422, "unknown-reference"]);
  });
});

test.each([
  "nmb100",
  "nmv200",
  "nmv16777215",
  "lo",
  "all",
  "default",
  "a/b",
  "a b",
  "a:b",
  ".",
  "..",
  "",
  "sixteen-letters-",
  "eth0\u0000",
])("a port named %j is refused by every way of stating it", async (port) => {
  const controller = await populated();
  const attempts = [
    controller.request("PUT", "/v1/vms/x", on("a", { port })),
    controller.request("POST", "/v1/vms", { name: "x", ...on("a", { port }) }),
    controller.request("PATCH", "/v1/vms/web-1", { interfaces: { eth0: { port } } }),
    controller.request("PATCH", "/v1/vms/web-1", { interfaces: [{ network: "blue", port }] }),
  ];
  for (const { status, body } of await Promise.all(attempts)) {
    expect(status).toBe(400);
    expect(body.errors[0].pointer).toMatch(/^\/interfaces\/(0|eth0)\/port$/);
  }
  const imported = await controller.request("POST", "/v1/import", lines({ name: "x", ...on("a", { port }) }), ndjson);
  expect([imported.status, imported.body.errors[0].pointer]).toEqual([422, "/interfaces/0/port"]);
});

test.each(["nmb", "nmbridge", "nmv1x", "vnet0", "tap.100", "lo1", "veth@if2"])(
  "a port named %j is taken",
  async (port) => {
    await call(await populated(), 201, "PUT", "/v1/vms/x", on("a", { port }));
  },
);

describe("a nested guest", () => {
  async function nested(): Promise<Controller> {
    const controller = await populated();
    await call(controller, 201, "PUT", "/v1/vms/outer", on("a", { port: "tap1" }));
    await call(controller, 201, "PUT", "/v1/vms/inner", on("a", { parent: "outer/eth0" }));
    return controller;
  }

  test.each<[why: string, interfaces: object, status: number, type: string]>([
    ["of a VM that is not there", on("a", { parent: "none/eth0" }), 422, "unknown-reference"],
    ["of an interface that is not there", on("a", { parent: "outer/eth7" }), 422, "unknown-reference"],
    ["of an interface without a port", on("a", { parent: "web-1/eth0" }), 409, "port-conflict"],
    ["of a nested guest", on("a", { parent: "inner/eth0" }), 409, "port-conflict"],
    ["of itself", on("a", { parent: "x/eth0" }), 409, "port-conflict"],
    ["on another host", on("b", { parent: "outer/eth0" }), 409, "port-conflict"],
    ["in another network", on("a", { parent: "outer/eth0" }, "red"), 409, "port-conflict"],
    ["with a port of its own", on("a", { parent: "outer/eth0", port: "tap9" }), 400, "invalid-input"],
    ["of what is not an interface", on("a", { parent: "outer" }), 400, "invalid-input"],
  ])("%s is refused", async (_, body, status, type) => {
    const controller = await nested();
    expect(told(await controller.request("PUT", "/v1/vms/x", body))).toEqual([status, type]);
  });

  const bound: Readonly<Record<string, (controller: Controller) => Promise<Answer>>> = {
    "is deleted": ({ request }) => request("DELETE", "/v1/vms/outer"),
    "is deleted in a dry run": ({ request }) => request("DELETE", "/v1/vms/outer?dryRun=true"),
    "is deleted by an import": ({ request }) =>
      request("POST", "/v1/import", lines({ name: "outer", delete: true }), ndjson),
    moves: ({ request }) => request("POST", "/v1/vms/outer/move", { host: "b" }),
    "is patched to another host": ({ request }) => request("PATCH", "/v1/vms/outer", { host: "b" }),
    "loses its interface": ({ request }) => request("PUT", "/v1/vms/outer", { host: "a", interfaces: [] }),
    "loses its port": ({ request }) => request("PATCH", "/v1/vms/outer", { interfaces: { eth0: { port: null } } }),
    "renames its interface": ({ request }) => request("PUT", "/v1/vms/outer", on("a", { port: "tap1", name: "lan" })),
    "goes to another network": ({ request }) =>
      request("PATCH", "/v1/vms/outer", { interfaces: { eth0: { network: "red", ips: [] } } }),
    "becomes nested itself": async (controller) => {
      await call(controller, 201, "PUT", "/v1/vms/outermost", on("a", { port: "tap8" }));
      return controller.request("PATCH", "/v1/vms/outer", {
        interfaces: { eth0: { port: null, parent: "outermost/eth0" } },
      });
    },
  };
  test.each(Object.entries(bound))("protects its parent: refused if that one %s", async (_, attempt) => {
    const controller = await nested();
    const answer = await attempt(controller);
    const isImport = answer.status === 422;
    const [type, detail] = isImport
      ? [answer.body.errors[0].type.split(":").pop(), answer.body.errors[0].detail]
      : [problemType(answer.body), answer.body.detail];
    expect([type, detail]).toEqual(["in-use", expect.stringContaining('such as VM "inner", interface "eth0"')]);
    expect(await exported(controller)).toContain('"parent":"outer/eth0"');
  });

  test("moves, and is deleted, in one change with its parent", async () => {
    const controller = await nested();
    const both = (host: string) =>
      lines({ name: "inner", ...on(host, { parent: "outer/eth0" }) }, { name: "outer", ...on(host, { port: "tap1" }) });
    expect((await controller.request("POST", "/v1/import", both("b"), ndjson)).status).toBe(200);
    expect((await call(controller, 200, "GET", "/v1/vms/inner")).host).toBe("b");
    const gone = lines({ name: "outer", delete: true }, { name: "inner", delete: true });
    expect((await controller.request("POST", "/v1/import", gone, ndjson)).status).toBe(200);
  });

  test("migrates live behind its parent: prepared after it, committed before it", async () => {
    const controller = await nested();
    const step = (name: string, verb: string, body: object = {}) =>
      controller.request("POST", `/v1/vms/${name}/${verb}`, body);
    expect(told(await step("inner", "prepare", { host: "b" }))).toEqual([409, "port-conflict"]);
    expect((await step("outer", "prepare", { host: "b" })).status).toBe(200);
    expect((await step("inner", "prepare", { host: "b" })).status).toBe(200);
    for (const verb of ["commit", "abort"]) expect(told(await step("outer", verb))).toEqual([409, "in-use"]);
    expect((await step("inner", "commit")).status).toBe(200);
    expect((await step("outer", "commit")).status).toBe(200);
    expect((await call(controller, 200, "GET", "/v1/vms/inner")).host).toBe("b");
  });

  test("is evacuated with its parent, however many target hosts there are", async () => {
    const controller = await nested();
    for (const name of ["inner-2", "inner-3"]) {
      await call(controller, 201, "PUT", `/v1/vms/${name}`, on("a", { parent: "outer/eth0" }));
    }
    await call(controller, 200, "POST", "/v1/hosts/a/evacuate", { to: ["b", "c"] });
    const hosts = new Set<string>();
    for (const name of ["outer", "inner", "inner-2", "inner-3"]) {
      hosts.add((await call(controller, 200, "GET", `/v1/vms/${name}`)).host);
    }
    expect(hosts.size).toBe(1);
    expect((await call(controller, 200, "GET", "/v1/vms/web-1")).host).not.toBe([...hosts][0]);
  });

  test("is declared only by callers who may change the parent, and may then be changed by those who may change it alone", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const wide = {
      host: "a",
      interfaces: [
        { network: "blue", port: "tap1" },
        { network: "red", port: "tap2" },
      ],
    };
    await call(secured.admin, 201, "PUT", "/v1/vms/wide", wide);
    const blue = secured.as((await secured.issue({ role: "operator", networks: ["blue"] })).token);
    const nest = on("a", { parent: "wide/eth0" });
    const refused = await blue.request("PUT", "/v1/vms/inner", nest);
    expect(told(refused)).toEqual([403, "forbidden"]);
    const hidden = await blue.request("PUT", "/v1/vms/inner", on("a", { parent: "wide/eth1" }));
    expect(told(hidden)).toEqual([422, "unknown-reference"]);
    await call(secured.admin, 201, "PUT", "/v1/vms/inner", nest);
    await call(blue, 200, "PATCH", "/v1/vms/inner", { labels: { tier: "x" } });
    await call(blue, 204, "DELETE", "/v1/vms/inner");
  });

  test("has its parent's port in the host's agent, also after that port changes", async () => {
    const controller = await nested();
    const { interfaces } = await call(controller, 200, "GET", "/v1/vms/inner");
    const portOf = (agent: AgentClient) => {
      const answers = agent.received.flatMap((frame) => ("answers" in frame ? frame.answers : []));
      return answers.findLast(({ key }) => key.kind === "mac" && key.mac === interfaces[0].mac)?.binding?.guestPort;
    };
    const agent = await controller.agent("a").connect();
    expect(portOf(agent)).toBe("tap1");
    await call(controller, 200, "PATCH", "/v1/vms/outer", { interfaces: { eth0: { port: "tap7" } } });
    await agent.untilAll(() => portOf(agent) === "tap7");
    expect(portOf(await controller.agent("a").connect())).toBe("tap7");
  });
});

describe("a database in which two interfaces have one port", () => {
  /** As earlier versions took it: VMs "one" and "two" on host a, both with port tap1. */
  async function withDoubles(): Promise<Controller> {
    const db = temporaryDatabase();
    const first = await startController({ db });
    await populate(first);
    await first.stop();
    const store = openSqliteStore(db);
    const { revision } = await loadAll(store);
    const at = parseRevision(revision + 1);
    const changes = ["one", "two"].map((name, i): ResourceChange => {
      const body = { host: "a", interfaces: [{ network: "blue", mac: `52:54:00:00:01:0${i}`, ips: [], port: "tap1" }] };
      return { kind: "vm", before: null, after: { ...parseVm(name, body), uid: `uid-${name}`, revision: at } as Vm };
    });
    await store.commit([
      { revision: at, time: new Date().toISOString(), by: { name: "x", role: "admin", scope: "all" }, changes },
    ]);
    await store.close();
    return startController({ db });
  }

  test("loads, is served to agents unchanged, and accepts changes that do not touch the port", async () => {
    const controller = await withDoubles();
    const agent = await controller.agent("a").connect();
    const ports = agent.frames("snapshot").flatMap(({ answers }) => answers.map(({ binding }) => binding?.guestPort));
    expect(ports.filter((port) => port === "tap1")).toHaveLength(2);
    await call(controller, 200, "PATCH", "/v1/vms/one", { labels: { tier: "x" }, description: "as it was" });
    const again = await controller.request("POST", "/v1/import", await exported(controller), ndjson);
    expect(JSON.parse(again.body.trim().split("\n").at(-1))).toMatchObject({ updated: 0, created: 0 });
  });

  test("refuses changes to these interfaces, and accepts the remedies that the refusal names", async () => {
    const controller = await withDoubles();
    const patch = (name: string, eth0: object) =>
      controller.request("PATCH", `/v1/vms/${name}`, { interfaces: { eth0 } });
    const refused = await patch("one", { ips: ["10.20.1.99"] });
    expect(told(refused)).toEqual([409, "port-conflict"]);
    expect(refused.body.detail).toContain(
      'name another port, or none, or for a guest inside that VM the parent "two/eth0"',
    );
    expect((await patch("one", { port: null, parent: "two/eth0" })).status).toBe(200);
    expect((await patch("one", { ips: ["10.20.1.99"] })).status).toBe(200);
  });

  test("lets one of them move away, and neither move back", async () => {
    const controller = await withDoubles();
    await call(controller, 200, "POST", "/v1/vms/one/move", { host: "b" });
    expect(told(await controller.request("POST", "/v1/vms/one/move", { host: "a" }))).toEqual([409, "port-conflict"]);
    await call(controller, 200, "PATCH", "/v1/vms/two", { interfaces: { eth0: { ips: ["10.20.1.99"] } } });
  });
});
