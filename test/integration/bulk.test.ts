// Import and export as their clients see them, against a whole controller.
import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { Store } from "../../controller/store/store.ts";
import type { ProblemDetails } from "../../schema/plain/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, problemType, startController, vm } from "./harness.ts";

const ndjson = { "content-type": "application/x-ndjson" };

async function importInto(controller: Controller, lines: readonly (object | string)[], query = "") {
  const body = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const response = await fetch(`http://${controller.base}/v1/import${query}`, {
    method: "POST",
    headers: ndjson,
    body,
  });
  const text = await response.text();
  return { status: response.status, text };
}

async function imported(controller: Controller, lines: readonly (object | string)[], query = "") {
  const { status, text } = await importInto(controller, lines, query);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return parseLines(text);
}

async function refused(controller: Controller, lines: readonly (object | string)[]): Promise<ProblemDetails> {
  const { status, text } = await importInto(controller, lines);
  expect(status).toBe(422);
  return JSON.parse(text);
}

async function exported(controller: Controller): Promise<Record<string, unknown>[]> {
  const response = await fetch(`http://${controller.base}/v1/export`);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  return parseLines(await response.text());
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const revisionOf = async (controller: Controller): Promise<number> =>
  (await call(controller, 200, "GET", "/readyz")).revision;

const line = (n: number, host = "a") => ({ kind: "vm", name: `vm-${n}`, ...vmBody(host, n) });
const vmBody = (host: string, n: number) => {
  const mac = `52:54:01:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
  return { host, interfaces: [{ network: "big", mac, ips: [`10.9.${n >> 8}.${n & 255}`] }] };
};
const big = { kind: "network", name: "big", vni: 900, subnets: ["10.8.0.0/15"] };

describe("import", () => {
  test("is one revision with an event per resource, and reports the result of each line", async () => {
    const controller = await startController();
    await populate(controller);
    const before = await revisionOf(controller);
    const events = controller.events(`?since=${before}`);
    const answer = await imported(controller, [
      { kind: "vm", name: "web-3", ...vm("d", 3) },
      "",
      { kind: "host", name: "d", vtep: "192.0.2.4" },
      { kind: "network", name: "red", vni: 200, subnets: ["10.20.1.0/24"] },
      { kind: "vm", name: "web-1", delete: true },
      { kind: "vm", name: "web-2", ...vm("a", 2) },
    ]);
    const revision = before + 1;
    expect(answer).toEqual([
      { line: 1, kind: "vm", name: "web-3", result: "created" },
      { line: 3, kind: "host", name: "d", result: "created" },
      { line: 4, kind: "network", name: "red", result: "unchanged" },
      { line: 5, kind: "vm", name: "web-1", result: "deleted" },
      { line: 6, kind: "vm", name: "web-2", result: "updated" },
      { kind: "summary", revision, created: 2, updated: 1, unchanged: 1, deleted: 1, dryRun: false },
    ]);
    await events.untilAll((received) => received.length >= 4);
    expect(events.received.map(({ id, type }) => `${id} ${type}`)).toEqual([
      `${revision}.0 nearmiss.host.created`,
      `${revision}.1 nearmiss.vm.created`,
      `${revision}.2 nearmiss.vm.deleted`,
      `${revision}.3 nearmiss.vm.updated`,
    ]);
  });

  test("lets VMs swap their addresses", async () => {
    const controller = await startController();
    await populate(controller);
    await imported(controller, [
      { kind: "vm", name: "web-1", ...vm("a", 2) },
      { kind: "vm", name: "web-2", ...vm("b", 1) },
    ]);
    expect(await call(controller, 200, "GET", "/v1/resolve?vni=100&ip=10.20.1.1")).toMatchObject({ vm: "web-2" });
  });

  test("names every bad line, and changes nothing", async () => {
    const controller = await startController();
    await populate(controller);
    const before = await exported(controller);
    const byForm = await refused(controller, [
      { kind: "vm", name: "ok", ...vm("a", 3) },
      "{nonsense",
      { kind: "vm", name: "two", host: "a", interfaces: [{ network: "blue", mac: "nope", ips: ["1.2.3"] }] },
      { kind: "tree", name: "x" },
      { kind: "vm", name: "ok", ...vm("a", 4) },
      { kind: "host", name: "h", vtep: "192.0.2.9", colour: "red" },
    ]);
    expect(problemType(byForm)).toBe("import-refused");
    expect(byForm.detail).toBe("nothing was changed: 5 lines are refused");
    expect(byForm.errors?.map((fault) => [fault.line, fault.pointer])).toEqual([
      [2, ""],
      [3, "/interfaces/0/mac"],
      [3, "/interfaces/0/ips/0"],
      [4, "/kind"],
      [5, "/name"],
      [6, "/colour"],
    ]);
    const byRules = await refused(controller, [
      { kind: "vm", name: "ok", ...vm("a", 3) },
      { kind: "vm", name: "taken", ...vm("b", 1) },
      { kind: "vm", name: "nowhere", ...vm("z", 4) },
      { kind: "network", name: "blue", delete: true },
      { kind: "vm", name: "same", ...vm("b", 3) },
    ]);
    const short = (type?: string) => type?.replace("urn:nearmiss:problem:", "");
    expect(byRules.errors?.map((fault) => [fault.line, short(fault.type)])).toEqual([
      [1, "unknown-reference"],
      [2, "unknown-reference"],
      [2, "address-taken"],
      [3, "unknown-reference"],
      [4, "in-use"],
      [5, "unknown-reference"],
      [5, "address-taken"],
    ]);
    const collisions = await refused(controller, [
      { kind: "vm", name: "ok", ...vm("a", 3) },
      { kind: "vm", name: "taken", ...vm("b", 1) },
      { kind: "vm", name: "same", ...vm("b", 3) },
    ]);
    expect(
      collisions.errors?.map(({ line: at, detail }) => [at, /belongs to (VM "[\w-]+")/.exec(detail)?.[1]]),
    ).toEqual([
      [2, 'VM "web-1"'],
      [3, 'VM "ok"'],
    ]);
    expect(await exported(controller)).toEqual(before);
  });

  test("sent again after its answer was lost changes nothing", async () => {
    const controller = await startController();
    await populate(controller);
    const lines = [
      { kind: "vm", name: "web-3", host: "c", interfaces: [{ network: "blue" }] },
      { kind: "vm", name: "web-1", delete: true },
      { kind: "host", name: "a", delete: true },
    ];
    const { revision } = (await imported(controller, lines)).at(-1) ?? {};
    const unchanged = { revision, created: 0, updated: 0, unchanged: 3, deleted: 0 };
    expect((await imported(controller, lines)).at(-1)).toMatchObject(unchanged);
  });

  test("as a dry run gives the same report, and changes nothing", async () => {
    const controller = await startController();
    await populate(controller);
    const before = await exported(controller);
    const lines = [{ kind: "vm", name: "web-1", ...vm("b", 1) }];
    const revision = await revisionOf(controller);
    expect(await imported(controller, lines, "?dryRun=true")).toEqual([
      { line: 1, kind: "vm", name: "web-1", result: "updated" },
      { kind: "summary", revision, created: 0, updated: 1, unchanged: 0, deleted: 0, dryRun: true },
    ]);
    expect(await exported(controller)).toEqual(before);
  });

  test("whose client disconnected before the end of the body changes nothing, and blocks no other", async () => {
    const controller = await startController();
    const open = () => {
      let send: ReadableStreamDefaultController<Uint8Array> | undefined;
      const body = new ReadableStream<Uint8Array>({
        start: (stream) => {
          send = stream;
          stream.enqueue(new TextEncoder().encode(`${JSON.stringify(big)}\n`));
        },
      });
      const abort = new AbortController();
      const request = { method: "POST", headers: ndjson, body, duplex: "half", signal: abort.signal } as RequestInit;
      return { answer: fetch(`http://${controller.base}/v1/import`, request), abort, end: () => send?.close() };
    };
    const imports = async () =>
      /^nearmiss_controller_imports (\d+)$/m.exec(await call(controller, 200, "GET", "/metrics"))?.[1];
    const gone = open();
    gone.answer.catch(() => {});
    await waitFor(async () => (await imports()) === "1", { what: "the first import to be under way" });
    gone.abort.abort();
    await waitFor(async () => (await imports()) === "0", { what: "the first import to be given up" });
    expect((await exported(controller)).slice(1)).toEqual([]);
    const slow = open();
    await waitFor(async () => (await imports()) === "1", { what: "the second import to be under way" });
    await imported(controller, [{ kind: "host", name: "a", vtep: "192.0.2.1" }]);
    slow.end();
    expect((await slow.answer).status).toBe(200);
    expect((await exported(controller)).slice(1)).toMatchObject([{ kind: "network", name: "big" }, { kind: "host" }]);
  });

  test("waits for another to end, so that each is decided on the result of the one before", async () => {
    const controller = await startController();
    await populate(controller);
    const lines = (host: string) => [big, ...Array.from({ length: 1_000 }, (_, i) => line(i + 256, host))];
    const [first, second] = await Promise.all([imported(controller, lines("a")), imported(controller, lines("b"))]);
    const [early, late] = [first, second].sort((a, b) => Number(a.at(-1)?.revision) - Number(b.at(-1)?.revision));
    expect(early?.at(-1)).toMatchObject({ created: 1_001, updated: 0 });
    expect(late?.at(-1)).toMatchObject({ created: 0, updated: 1_000, unchanged: 1 });
  });

  test("accepts NDJSON only, and limits the length of a line", async () => {
    const controller = await startController();
    const json = await controller.request("POST", "/v1/import", { kind: "host" });
    expect([json.status, problemType(json.body)]).toEqual([415, "unsupported-media-type"]);
    const none = await controller.request("POST", "/v1/import");
    expect([none.status, none.body.detail]).toEqual([400, "send a resource per line as application/x-ndjson"]);
    const { status, text } = await importInto(controller, [`{"kind":"${"x".repeat(300_000)}"}`]);
    expect([status, problemType(JSON.parse(text))]).toEqual([400, "invalid-input"]);
  });

  test("of an export into an empty controller creates the same inventory", async () => {
    const [from, to] = [await startController(), await startController()];
    await populate(from);
    await call(from, 201, "PUT", "/v1/vms/gw", {
      host: "a",
      interfaces: [{ name: "lan", network: "blue", mac: "52:54:00:00:00:0a", ips: [], port: "tap0", router: true }],
    });
    const [head, ...lines] = await exported(from);
    expect(head).toMatchObject({ kind: "export", version: 1, revision: await revisionOf(from) });
    await imported(to, [head ?? {}, ...lines]);
    expect((await exported(to)).slice(1)).toEqual(lines);
    const again = await imported(from, lines);
    expect(again.at(-1)).toMatchObject({ created: 0, updated: 0, deleted: 0, unchanged: lines.length });
  });
});

describe("a line", () => {
  test("carries labels, a description, and the parameters of address assignment", async () => {
    const [from, to] = [await startController(), await startController()];
    const pool = {
      gateways: ["10.7.0.9"],
      reserved: ["10.7.0.1-10.7.0.3"],
      quarantineSeconds: 0,
      knowledge: "replicate",
      broadcast: "replicate",
    };
    const notes = { labels: { "example.com/team": "red", tier: "web" }, description: "left of the door" };
    await imported(from, [
      { kind: "network", name: "pool", vni: 7, subnets: ["10.7.0.0/28"], ...pool, ...notes },
      { kind: "host", name: "a", vtep: "192.0.2.1", ...notes },
      { kind: "vm", name: "web", host: "a", interfaces: [{ network: "pool" }], ...notes },
    ]);
    const [, ...lines] = await exported(from);
    expect(lines).toMatchObject([{ ...pool, ...notes }, notes, notes]);
    await imported(to, lines);
    expect((await exported(to)).slice(1)).toEqual(lines);
  });

  test("without addresses gets addresses that no other line uses, and keeps them when it is sent again", async () => {
    const controller = await startController();
    const lines = [
      { kind: "network", name: "pool", vni: 7, subnets: ["10.7.0.0/29", "fd07::/64"] },
      { kind: "host", name: "a", vtep: "192.0.2.1" },
      { kind: "vm", name: "any-1", host: "a", interfaces: [{ network: "pool" }] },
      { kind: "vm", name: "any-2", host: "a", interfaces: [{ network: "pool" }] },
      { kind: "vm", name: "own", host: "a", interfaces: [{ network: "pool", ips: ["10.7.0.2", "fd07::3"] }] },
    ];
    await imported(controller, lines);
    const vms = (await exported(controller)).filter(({ kind }) => kind === "vm");
    expect(vms.map(({ interfaces }) => (interfaces as { ips: string[] }[])[0]?.ips)).toEqual([
      ["10.7.0.3", "fd07::2"],
      ["10.7.0.4", "fd07::4"],
      ["10.7.0.2", "fd07::3"],
    ]);
    expect((await imported(controller, lines)).at(-1)).toMatchObject({ unchanged: 5, created: 0, updated: 0 });
    const more = [1, 2, 3].map((n) => ({
      kind: "vm",
      name: `more-${n}`,
      host: "a",
      interfaces: [{ network: "pool" }],
    }));
    const { errors } = await refused(controller, more);
    expect(errors).toMatchObject([{ line: 3, type: "urn:nearmiss:problem:addresses-exhausted" }]);
  });
});

describe("a large import", () => {
  test("may take longer than the idle timeout of a connection, and so may its answer", async () => {
    let connection: Socket | undefined;
    const whileWritten: (number | undefined)[] = [];
    const watched = (store: Store): Store =>
      Object.assign(Object.create(store), {
        commit: (...args: Parameters<Store["commit"]>) => {
          whileWritten.push(connection?.timeout);
          return store.commit(...args);
        },
      });
    const controller = await startController({ wrap: watched });
    const allowed = controller.app.server.timeout;
    expect(allowed).toBeGreaterThan(0);
    controller.app.server.on("connection", (socket) => {
      connection = socket;
    });
    const headers = { ...ndjson, connection: "close" };
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method: "POST", headers, agent: false };
      request(`http://${controller.base}/v1/import`, options, resolve).on("error", reject).end(JSON.stringify(big));
    });
    expect((await answered).resume().statusCode).toBe(200);
    // Node's word for none.
    expect(whileWritten).toEqual([0]);
    expect(connection?.timeout).toBe(allowed);
  });

  test("reaches agents as one set and followers in order, and concurrent reads see all of it or nothing", async () => {
    const controller = await startController({ stream: { maxBufferedBytes: 64 * 1024 } });
    await populate(controller);
    const agent = await controller.agent("a").connect();
    const live = controller.events();
    await live.opened;
    const before = await revisionOf(controller);
    const count = 3_000;
    const lines = [big, ...Array.from({ length: count }, (_, i) => line(i + 256, i % 2 === 0 ? "a" : "b"))];
    let done = false;
    const look = async () => {
      while (!done) {
        const [first, last] = await Promise.all(
          [256, count + 255].map((n) => controller.request("GET", `/v1/vms/vm-${n}`)),
        );
        // Asked for in one turn, so of one state or of two that follow each other.
        if (first?.status === 200) expect(last?.status).toBe(200);
      }
    };
    const looking = look();
    const answer = await imported(controller, lines);
    done = true;
    await looking;
    const revision = before + 1;
    expect(answer.at(-1)).toMatchObject({ kind: "summary", revision, created: count + 1 });
    await agent.until((frame) => frame.type === "changes" && frame.asOf === revision && frame.end);
    const frames = agent.frames("changes").filter((frame) => frame.asOf === revision);
    expect(frames.map(({ end }) => end)).toEqual([...frames.slice(1).map(() => false), true]);
    expect(frames.flatMap(({ networks }) => networks.map(({ name }) => name))).toEqual(["big"]);
    expect(frames.flatMap(({ answers }) => answers).filter(({ binding }) => binding?.local)).toHaveLength(count);
    await live.untilAll((received) => received.length >= count + 1);
    expect(live.received.map(({ id }) => id)).toEqual(Array.from({ length: count + 1 }, (_, i) => `${revision}.${i}`));
    const [, ...rest] = await exported(controller);
    expect(rest).toHaveLength(count + 1 + 7);
    // The other copy of the inventory is updated too: the next change is decided and visible on the same state.
    await call(controller, 204, "DELETE", "/v1/vms/vm-256");
    await call(controller, 404, "GET", "/v1/vms/vm-256");
    await call(controller, 404, "GET", "/v1/resolve?vni=900&ip=10.9.1.0");
    await call(controller, 201, "PUT", "/v1/vms/again", vmBody("b", 256));
  });

  test("that is refused at its last line leaves everything unchanged, for the next change too", async () => {
    const controller = await startController();
    await populate(controller);
    const before = await exported(controller);
    const lines = [big, ...Array.from({ length: 2_000 }, (_, i) => line(i + 256)), line(5_000, "nowhere")];
    const problem = await refused(controller, lines);
    expect(problem.errors).toEqual([
      {
        line: 2_002,
        pointer: "",
        detail: 'VM "vm-5000": no host is named "nowhere"',
        type: "urn:nearmiss:problem:unknown-reference",
      },
    ]);
    expect(await exported(controller)).toEqual(before);
    await imported(controller, lines.slice(0, -1));
    expect(await exported(controller)).toHaveLength(before.length + 2_001);
  });

  test("survives a restart", async () => {
    const controller = await startController();
    await populate(controller);
    await imported(controller, [big, ...Array.from({ length: 1_000 }, (_, i) => line(i + 256))]);
    const before = await exported(controller);
    await controller.stop();
    const again = await startController({ db: controller.db });
    expect(await exported(again)).toEqual(before);
  });
});
