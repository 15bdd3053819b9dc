// A VM without interfaces is in no network, so nothing of it is outside a token's networks. It still belongs to its
// owner: other tenants get the answers of a VM that does not exist.
import { describe, expect, test } from "vitest";
import type { TokenInput, VmView } from "../../schema/rest/index.ts";
import { type Controller, call, populate, startSecured } from "../integration/harness.ts";

const callers: Readonly<Record<string, TokenInput>> = {
  "operator of all": { role: "operator" },
  "operator of blue": { role: "operator", networks: ["blue"] },
  "operator of red": { role: "operator", networks: ["red"] },
  "operator of both": { role: "operator", networks: ["blue", "red"] },
  "viewer of all": { role: "viewer" },
  "viewer of blue": { role: "viewer", networks: ["blue"] },
  "viewer of red": { role: "viewer", networks: ["red"] },
};

/** The networks that a VM of this state belongs to, and whether it still has interfaces in them. */
const states = {
  "in blue": { networks: ["blue"], attached: true },
  "in both": { networks: ["blue", "red"], attached: true },
  "last in blue": { networks: ["blue"], attached: false },
  "last in both": { networks: ["blue", "red"], attached: false },
  "never in any": { networks: [], attached: false },
} as const;
type State = keyof typeof states;

const attachedTo = (networks: readonly string[]) => networks.map((network) => ({ network, ips: [] }));

async function make(admin: Controller, name: string, state: State): Promise<VmView> {
  const { networks, attached } = states[state];
  const made = await call(admin, 201, "PUT", `/v1/vms/${name}`, { host: "a", interfaces: attachedTo(networks) });
  return attached || networks.length === 0
    ? made
    : call(admin, 200, "PUT", `/v1/vms/${name}`, { host: "a", interfaces: [] });
}

/** The caller's possible operations on a VM in this state. */
function rightsTo({ role, networks }: TokenInput, state: State): "change" | "see" | "none" {
  const { networks: owners, attached } = states[state];
  const owned = !networks || (owners.length > 0 && owners.every((each) => networks.includes(each)));
  if (owned) return role === "operator" ? "change" : "see";
  return attached && owners.some((each) => networks?.includes(each)) ? "see" : "none";
}

const ndjson = { "content-type": "application/x-ndjson" };
const importOf = (line: object) => ["POST", "/v1/import", JSON.stringify(line), ndjson] as const;
type Request = readonly [method: string, path: string, body?: unknown, headers?: Record<string, string>];

/** Requests that change the named VM, with the status where that is allowed. */
const writes: Readonly<Record<string, { readonly request: (name: string) => Request; readonly allowed: number }>> = {
  "PUT without interfaces": {
    request: (name) => ["PUT", `/v1/vms/${name}`, { host: "b", interfaces: [] }],
    allowed: 200,
  },
  "PUT as a dry run": {
    request: (name) => ["PUT", `/v1/vms/${name}?dryRun=true`, { host: "b", interfaces: [] }],
    allowed: 200,
  },
  "PUT with If-Match: *": {
    request: (name) => ["PUT", `/v1/vms/${name}`, { host: "b", interfaces: [] }, { "if-match": "*" }],
    allowed: 200,
  },
  "PATCH of the description": {
    request: (name) => ["PATCH", `/v1/vms/${name}`, { description: "mine" }],
    allowed: 200,
  },
  "PATCH of a label": { request: (name) => ["PATCH", `/v1/vms/${name}`, { labels: { tier: "x" } }], allowed: 200 },
  "PATCH as a dry run": {
    request: (name) => ["PATCH", `/v1/vms/${name}?dryRun=true`, { description: "mine" }],
    allowed: 200,
  },
  "PATCH with a stale If-Match": {
    request: (name) => ["PATCH", `/v1/vms/${name}`, { description: "mine" }, { "if-match": '"999999"' }],
    allowed: 412,
  },
  DELETE: { request: (name) => ["DELETE", `/v1/vms/${name}`], allowed: 204 },
  "DELETE as a dry run": { request: (name) => ["DELETE", `/v1/vms/${name}?dryRun=true`], allowed: 204 },
  move: { request: (name) => ["POST", `/v1/vms/${name}/move`, { host: "b" }], allowed: 200 },
  prepare: { request: (name) => ["POST", `/v1/vms/${name}/prepare`, { host: "b" }], allowed: 200 },
  "commit without a migration": { request: (name) => ["POST", `/v1/vms/${name}/commit`, {}], allowed: 409 },
  abort: { request: (name) => ["POST", `/v1/vms/${name}/abort`, {}], allowed: 200 },
  "import of a line": {
    request: (name) => importOf({ kind: "vm", name, host: "b", interfaces: [] }),
    allowed: 200,
  },
  "import of a deletion": { request: (name) => importOf({ kind: "vm", name, delete: true }), allowed: 200 },
};

/** The answer with names replaced. */
const plain = (answer: { status: number; body: unknown }, name: string) => ({
  status: answer.status,
  body: JSON.parse(
    JSON.stringify(answer.body)
      .replaceAll(name, "NAME")
      .replaceAll(/"revision":\d+/g, '"revision":0'),
  ),
});

describe.each(Object.entries(callers))("an %s", (_, input) => {
  test.each(Object.entries(writes))(
    "may %s where it owns the VM, and nowhere else",
    async (_verb, { request, allowed }) => {
      const secured = await startSecured();
      await populate(secured.admin);
      const caller = secured.as((await secured.issue(input)).token);
      for (const state of Object.keys(states) as State[]) {
        const name = `vm-${state.replaceAll(" ", "-")}`;
        const before = await make(secured.admin, name, state);
        const answer = await caller.request(...request(name));
        const rights = rightsTo(input, state);
        const found = await secured.admin.request("GET", `/v1/vms/${name}`);
        if (rights === "change") {
          expect([state, answer.status]).toEqual([state, allowed]);
          continue;
        }
        expect([state, found.status, found.body.revision]).toEqual([state, 200, before.revision]);
        if (rights === "see") {
          // A stale If-Match, and a migration that is not in progress, are refused before anything else.
          expect([403, 422, ...(allowed >= 400 ? [allowed] : [])]).toContain(answer.status);
          continue;
        }
        // Names are shared, so that a creation is refused; all else answers as if there were no such VM.
        const creates = input.role === "operator" && /^(PUT (without|as)|import of a line)/.test(_verb);
        const absent = "no-such-vm";
        if (!creates) expect(plain(answer, name)).toEqual(plain(await caller.request(...request(absent)), absent));
        else {
          expect([409, 422]).toContain(answer.status);
          expect(JSON.stringify(answer.body)).toContain(`the name \\"${name}\\" is in use`);
        }
      }
    },
  );

  test("reads what it owns, and nothing else", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const caller = secured.as((await secured.issue(input)).token);
    const stream = caller.events();
    await stream.opened;
    const names = new Map<string, State>();
    for (const state of Object.keys(states) as State[]) {
      const name = `vm-${state.replaceAll(" ", "-")}`;
      names.set(name, state);
      await make(secured.admin, name, state);
      await call(secured.admin, 200, "PATCH", `/v1/vms/${name}`, {
        description: "seen by its owner",
        labels: { tier: "x" },
      });
    }
    const seen = [...names]
      .filter(([, state]) => rightsTo(input, state) !== "none")
      .map(([name]) => name)
      .sort();
    const listed = async (query: string) =>
      (await call(caller, 200, "GET", `/v1/vms?${query}`)).vms.map(({ name }: VmView) => name);
    expect(await listed("name=vm-")).toEqual(seen);
    expect(await listed("name=vm-&label=tier%3Dx")).toEqual(seen);
    expect(await listed("name=vm-&host=a")).toEqual(seen);
    const others = (await listed("")).filter((name: string) => !name.startsWith("vm-")).length;
    expect((await call(caller, 200, "GET", "/v1/overview")).vms).toBe(seen.length + others);
    const exported: string = await call(caller, 200, "GET", "/v1/export");
    for (const [name, state] of names) {
      const visible = seen.includes(name);
      expect([name, (await caller.request("GET", `/v1/vms/${name}`)).status]).toEqual([name, visible ? 200 : 404]);
      expect([name, (await caller.request("GET", `/v1/vms/${name}/holders`)).status]).toEqual([
        name,
        visible ? 200 : 404,
      ]);
      expect([name, exported.includes(`"${name}"`)]).toEqual([name, visible]);
      const told = (events: readonly { data: { after: unknown } }[]) =>
        events.some(({ data }) => JSON.stringify(data.after).includes("seen by its owner"));
      const log = await call(caller, 200, "GET", `/v1/log?kind=vm&name=${name}`);
      expect([name, told(log.events)]).toEqual([name, visible]);
      // A caller who never saw any network of the VM does not even see its deletion.
      const neverSeen = states[state].networks.every((each) => input.networks && !input.networks.includes(each));
      if (!visible && neverSeen) expect([name, log.events]).toEqual([name, []]);
    }
    const network = input.networks?.[0] ?? "blue";
    const { revision } = await call(secured.admin, 200, "PATCH", `/v1/networks/${network}`, {
      description: "the last",
    });
    await stream.until((event) => event.revision === revision);
    const after = stream.received.filter(({ data }) => JSON.stringify(data.after).includes("seen by its owner"));
    expect(after.map(({ subject }) => subject.replace("vms/", "")).sort()).toEqual(seen);
  });
});

describe("a VM that a limited operator creates without interfaces", () => {
  test("belongs to all networks of the token", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const of = async (...networks: string[]) => secured.as((await secured.issue({ role: "operator", networks })).token);
    const [blue, red, both] = [await of("blue"), await of("red"), await of("blue", "red")];
    const made = await call(blue, 201, "POST", "/v1/vms", { name: "early", host: "a", interfaces: [] });
    expect(made.ownerNetworks).toEqual(["blue"]);
    await call(both, 201, "PUT", "/v1/vms/shared", { host: "a", interfaces: [] });
    await call(red, 404, "GET", "/v1/vms/early");
    await call(both, 200, "GET", "/v1/vms/early");
    for (const caller of [blue, red]) await call(caller, 404, "DELETE", "/v1/vms/shared");
    const attached = await call(blue, 200, "PATCH", "/v1/vms/early", { interfaces: { eth0: { network: "blue" } } });
    expect(attached.ownerNetworks).toBeUndefined();
    await call(red, 404, "GET", "/v1/vms/early");
  });

  test("is not given to other tenants' networks, nor taken from them", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { token } = await secured.issue({ role: "operator", networks: ["blue"] });
    const blue = secured.as(token);
    const body = { host: "a", interfaces: [], ownerNetworks: ["red"] };
    const refused = await blue.request("PUT", "/v1/vms/planted", body);
    expect([refused.status, refused.body.detail]).toEqual([422, 'VM "planted": no network is named "red"']);
    const given = await call(secured.admin, 201, "PUT", "/v1/vms/given", { ...body, ownerNetworks: ["blue"] });
    expect(given.ownerNetworks).toEqual(["blue"]);
    await call(blue, 200, "PATCH", "/v1/vms/given", { description: "mine" });
    await call(blue, 422, "PATCH", "/v1/vms/given", { ownerNetworks: ["red"] });
    const attached = { host: "a", interfaces: attachedTo(["blue"]), ownerNetworks: ["blue"] };
    const both = await secured.admin.request("PUT", "/v1/vms/given", attached);
    expect([both.status, both.body.errors[0].pointer]).toEqual([400, "/ownerNetworks"]);
  });
});

test("an export includes the owners, also when another controller imports it", async () => {
  const secured = await startSecured();
  await populate(secured.admin);
  for (const state of Object.keys(states) as State[])
    await make(secured.admin, `vm-${state.replaceAll(" ", "-")}`, state);
  const exported: string = await call(secured.admin, 200, "GET", "/v1/export");
  const other = await startSecured();
  expect((await other.admin.request("POST", "/v1/import", exported, ndjson)).status).toBe(200);
  const again: string = await call(other.admin, 200, "GET", "/v1/export");
  const resources = (text: string) =>
    text
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => JSON.parse(line));
  expect(resources(again)).toEqual(resources(exported));
  const { token } = await other.issue({ role: "viewer", networks: ["blue"] });
  const { vms } = await call(other.as(token), 200, "GET", "/v1/vms?name=vm-");
  expect(vms.map(({ name }: VmView) => name)).toEqual(["vm-in-blue", "vm-in-both", "vm-last-in-blue"]);
});
