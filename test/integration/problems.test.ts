// Every documented problem type can occur: one request for each, compared with the document.
import { expect, test } from "vitest";
import { type Store, StoreBrokenError, StoreFullError, StoreUnavailableError } from "../../controller/store/store.ts";
import { limits, type ProblemType, problemTypes, problemUri } from "../../schema/plain/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { startEnrolling } from "../support/enrolled.ts";
import type { ApiDocument } from "../support/request-arbitrary.ts";
import { type Controller, call, populate, startController, startSecured, vm } from "./harness.ts";

type Answer = Awaited<ReturnType<Controller["request"]>>;

interface Provocation {
  /** Path as the document writes it. */
  readonly on: readonly [method: string, path: string];
  readonly send: () => Promise<Answer>;
}

async function populated(options: Parameters<typeof startController>[0] = {}): Promise<Controller> {
  const controller = await startController(options);
  await populate(controller);
  return controller;
}

/** To a controller with the usual inventory. */
const request = (
  method: string,
  path: string,
  body?: unknown,
  more: { headers?: Record<string, string>; on?: string; prepare?: (controller: Controller) => Promise<unknown> } = {},
): Provocation => ({
  on: [method, more.on ?? path],
  send: async () => {
    const controller = await populated();
    await more.prepare?.(controller);
    return controller.request(method, path, body, more.headers ?? {});
  },
});

/** To a controller whose disk fails from then on. */
const withFailing = (failure: Error): Provocation => ({
  on: ["PATCH", "/v1/hosts/{name}"],
  send: async () => {
    let fails = false;
    const commit =
      (store: Store): Store["commit"] =>
      (batch, receipts) => {
        if (fails) throw failure;
        return store.commit(batch, receipts);
      };
    const wrap = (store: Store): Store =>
      new Proxy(store, {
        get: (target, name) => {
          if (name === "commit") return commit(target);
          const value: unknown = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    const controller = await populated({ wrap });
    fails = true;
    return controller.request("PATCH", "/v1/hosts/a", { description: "x" });
  },
});

const metricsOf = async (controller: Controller): Promise<string> => call(controller, 200, "GET", "/metrics");
const sse = { accept: "text/event-stream" };
const host = "/v1/hosts/{name}";
const anyVm = "/v1/vms/{name}";
const oneInterface = (more: object) => ({ host: "a", interfaces: [{ network: "blue", ...more }] });

const provocations: Readonly<Record<ProblemType, Provocation>> = {
  "invalid-input": request("PUT", "/v1/hosts/a", { vtep: "nowhere" }, { on: host }),
  unauthenticated: { on: ["GET", "/v1/vms"], send: async () => (await startSecured()).request("GET", "/v1/vms") },
  "host-revoked": {
    on: ["GET", "/v1/vms"],
    send: async () => {
      const controller = await startEnrolling();
      const identity = await controller.enrol("a");
      await controller.call(204, "POST", "/v1/hosts/a/revoke");
      return controller.ask({ identity }, "GET", "/v1/vms");
    },
  },
  forbidden: {
    on: ["POST", "/v1/vms"],
    send: async () => {
      const controller = await startSecured();
      const viewer = controller.as((await controller.issue({ role: "viewer" })).token);
      return viewer.request("POST", "/v1/vms", { name: "x", host: "a", interfaces: [] });
    },
  },
  "quota-exceeded": {
    on: ["PUT", anyVm],
    send: async () => {
      const controller = await startSecured();
      await populate(controller.admin);
      const { token } = await controller.issue({ role: "operator", networks: ["blue"], quota: { vms: 2 } });
      return controller.as(token).request("PUT", "/v1/vms/x", oneInterface({}));
    },
  },
  "not-found": request("GET", "/v1/vms/none", undefined, { on: anyVm }),
  "method-not-allowed": request("PUT", "/v1/vms", {}),
  "address-taken": request("PUT", "/v1/vms/x", vm("c", 1), { on: anyVm }),
  "port-conflict": request("PUT", "/v1/vms/x", oneInterface({ port: "tap1" }), {
    on: anyVm,
    prepare: (controller) =>
      call(controller, 200, "PATCH", "/v1/vms/web-1", { interfaces: { eth0: { port: "tap1" } } }),
  }),
  "name-taken": request("POST", "/v1/vms", { name: "web-1", ...vm("c", 9) }),
  "in-use": request("DELETE", "/v1/networks/blue", undefined, { on: "/v1/networks/{name}" }),
  "mixed-underlay": request("PATCH", "/v1/hosts/a", { vtep: "2001:db8::1" }, { on: host }),
  "addresses-exhausted": request("PUT", "/v1/vms/x", oneInterface({ network: "tiny" }), {
    on: anyVm,
    prepare: (controller) =>
      call(controller, 201, "PUT", "/v1/networks/tiny", {
        vni: 9,
        subnets: ["10.9.0.0/30"],
        reserved: ["10.9.0.0/30"],
      }),
  }),
  "limit-exceeded": request(
    "PUT",
    "/v1/vms/one-more",
    { host: "c", interfaces: [] },
    {
      on: anyVm,
      prepare: async (controller) => {
        const line = (_: unknown, i: number) =>
          JSON.stringify({ kind: "vm", name: `v${i}`, host: "c", interfaces: [] });
        const body = Array.from({ length: limits.vmsPerHost }, line).join("\n");
        const headers = { "content-type": "application/x-ndjson" };
        const { status } = await controller.request("POST", "/v1/import", body, headers);
        expect(status).toBe(200);
      },
    },
  ),
  "host-down": request("PUT", "/v1/vms/x", oneInterface({}), {
    on: anyVm,
    prepare: (controller) => call(controller, 200, "PATCH", "/v1/hosts/a", { down: true }),
  }),
  "migration-conflict": request("POST", "/v1/vms/web-1/commit", {}, { on: "/v1/vms/{name}/commit" }),
  "no-tls": request("GET", "/v1/authorities"),
  immutable: request("PATCH", "/v1/networks/blue", { vni: 101 }, { on: "/v1/networks/{name}" }),
  "precondition-failed": request("DELETE", "/v1/vms/web-1", undefined, { on: anyVm, headers: { "if-match": '"1"' } }),
  "body-too-large": request("PUT", "/v1/hosts/a", { vtep: "x".repeat(300_000) }, { on: host }),
  "unsupported-media-type": request("PUT", "/v1/hosts/a", "vtep", {
    on: host,
    headers: { "content-type": "text/csv" },
  }),
  "misdirected-request": {
    on: ["GET", "/v1/vms"],
    send: async () => {
      const { app } = await startController();
      const answer = await app.inject({ method: "GET", url: "/v1/vms", headers: { host: "rebound.example.com" } });
      return {
        status: answer.statusCode,
        headers: new Headers(answer.headers as Record<string, string>),
        body: answer.json(),
      };
    },
  },
  "log-compacted": {
    on: ["GET", "/v1/events"],
    send: async () => {
      const controller = await populated({
        retention: { maxEvents: 1, maxAgeMs: Number.POSITIVE_INFINITY, everyMs: 1 },
      });
      const isCompacted = async () => /^nearmiss_controller_log_compacted [1-9]/m.test(await metricsOf(controller));
      await waitFor(isCompacted, { what: "compaction" });
      return controller.request("GET", "/v1/events?since=0", undefined, sse);
    },
  },
  "unknown-position": request("GET", "/v1/events?since=999", undefined, { headers: sse, on: "/v1/events" }),
  "import-refused": request("POST", "/v1/import", "{}", { headers: { "content-type": "application/x-ndjson" } }),
  "unknown-reference": request("PATCH", "/v1/vms/web-1", { host: "none" }, { on: anyVm }),
  "idempotency-key-reused": request(
    "POST",
    "/v1/hosts",
    { name: "e", vtep: "192.0.2.55" },
    {
      headers: { "idempotency-key": "k" },
      prepare: (controller) =>
        controller.request("POST", "/v1/hosts", { name: "d", vtep: "192.0.2.44" }, { "idempotency-key": "k" }),
    },
  ),
  "outside-subnets": request("PUT", "/v1/vms/x", oneInterface({ ips: ["10.99.0.1"] }), { on: anyVm }),
  "upgrade-required": request("GET", "/v1/events"),
  "too-many-requests": {
    on: ["GET", "/v1/vms"],
    send: async () => {
      const { admin } = await startSecured({ door: { requestsPerSecond: 0.1 } });
      await admin.request("GET", "/v1/vms");
      return admin.request("GET", "/v1/vms");
    },
  },
  internal: withFailing(new StoreBrokenError("/db: disk I/O error")),
  unavailable: withFailing(new StoreUnavailableError("locked")),
  "storage-full": withFailing(new StoreFullError("full")),
};

let document: ApiDocument | undefined;

test.each(Object.keys(problemTypes) as ProblemType[])(
  "%s can be provoked, and is documented where it occurs",
  async (type) => {
    const { on, send } = provocations[type];
    const { status, headers, body } = await send();
    expect(body).toMatchObject({ type: problemUri(type), ...problemTypes[type] });
    expect(status).toBe(problemTypes[type].status);
    expect(headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(body.detail.length).toBeGreaterThan(10);
    // A method that a path has not is on no operation of the document.
    if (type === "method-not-allowed") return;
    document ??= await call(await startController(), 200, "GET", "/openapi.json");
    expect(document?.paths[on[1]]?.[on[0].toLowerCase()]?.responses[status]?.description).toContain(problemUri(type));
  },
);
