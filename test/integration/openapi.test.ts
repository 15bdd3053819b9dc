// The document against the controller: same routes, same problems. `generated-requests.test.ts` sends the documented
// requests.
import { expect, test } from "vitest";
import { problemTypes, problemUri } from "../../schema/plain/index.ts";
import { call, startController } from "./harness.ts";

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const operations = (paths: Paths) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test("describes exactly the routes that the controller has", async () => {
  const controller = await startController();
  const document = await call(controller, 200, "GET", "/openapi.json");
  expect(document.openapi).toBe("3.1.0");
  const described = operations(document.paths).map(({ path, method }) => `${method.toUpperCase()} ${path}`);
  for (const route of described) {
    const [method = "", path = ""] = route.split(" ");
    expect(controller.app.hasRoute({ method: method as "GET", url: path.replaceAll(/\{(\w+)\}/g, ":$1") })).toBe(true);
  }
  expect(described.sort()).toEqual([
    "DELETE /v1/authorities/{id}",
    "DELETE /v1/hosts/{name}",
    "DELETE /v1/networks/{name}",
    "DELETE /v1/tokens/{id}",
    "DELETE /v1/vms/{name}",
    "GET /asyncapi.json",
    "GET /livez",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1/agent",
    "GET /v1/audit",
    "GET /v1/authorities",
    "GET /v1/ca",
    "GET /v1/conditions",
    "GET /v1/events",
    "GET /v1/export",
    "GET /v1/hosts",
    "GET /v1/hosts/{name}",
    "GET /v1/identity",
    "GET /v1/log",
    "GET /v1/networks",
    "GET /v1/networks/{name}",
    "GET /v1/networks/{name}/groups",
    "GET /v1/operational-events",
    "GET /v1/overview",
    "GET /v1/rates",
    "GET /v1/resolve",
    "GET /v1/tokens",
    "GET /v1/topology",
    "GET /v1/vms",
    "GET /v1/vms/{name}",
    "GET /v1/vms/{name}/holders",
    "PATCH /v1/hosts/{name}",
    "PATCH /v1/networks/{name}",
    "PATCH /v1/vms/{name}",
    "POST /v1/authorities",
    "POST /v1/authorities/{id}/issue",
    "POST /v1/enrol",
    "POST /v1/hosts",
    "POST /v1/hosts/{name}/evacuate",
    "POST /v1/hosts/{name}/join-token",
    "POST /v1/hosts/{name}/revoke",
    "POST /v1/import",
    "POST /v1/networks",
    "POST /v1/networks/{name}/thaw",
    "POST /v1/renew",
    "POST /v1/tokens",
    "POST /v1/vms",
    "POST /v1/vms/{name}/abort",
    "POST /v1/vms/{name}/commit",
    "POST /v1/vms/{name}/move",
    "POST /v1/vms/{name}/prepare",
    "PUT /v1/hosts/{name}",
    "PUT /v1/networks/{name}",
    "PUT /v1/vms/{name}",
  ]);
  expect(operations(document.paths).filter(({ operation }) => !operation.summary)).toEqual([]);
  const ids = operations(document.paths).map(({ operation }) => operation.operationId);
  expect(ids).not.toContain(undefined);
  expect(new Set(ids).size).toBe(ids.length);
});

test("names exactly the problem types of the table, each under its status", async () => {
  const controller = await startController();
  const document = await call(controller, 200, "GET", "/openapi.json");
  const told = new Set<string>();
  for (const { operation } of operations(document.paths)) {
    for (const [status, { description }] of Object.entries(operation.responses)) {
      for (const [uri] of description.matchAll(/urn:nearmiss:problem:[a-z-]+/g)) told.add(`${status} ${uri}`);
    }
  }
  // No route has it: it is the answer to a method that the path has not.
  told.add(`405 ${problemUri("method-not-allowed")}`);
  const table = Object.entries(problemTypes).map(([type, { status }]) => `${status} urn:nearmiss:problem:${type}`);
  expect([...told].sort()).toEqual(table.sort());
  const types = Object.keys(problemTypes).map((type) => `urn:nearmiss:problem:${type}`);
  expect(document.components.schemas.Problem.properties.type.enum).toEqual(types);
});

test("defines each shape once, under a name", async () => {
  const controller = await startController();
  const document = await call(controller, 200, "GET", "/openapi.json");
  expect(Object.keys(document.components.schemas).sort()).toEqual([
    "AbortInput",
    "AgentVersion",
    "AllowedAddress",
    "AuditEntry",
    "Authority",
    "CommitInput",
    "Concern",
    "Condition",
    "Conditions",
    "Credentials",
    "DeletionLine",
    "EnrolInput",
    "EvacuateInput",
    "Evacuation",
    "ExportLine",
    "Group",
    "GroupList",
    "Holder",
    "Holders",
    "Host",
    "HostInput",
    "HostLine",
    "HostPatch",
    "HostPutInput",
    "Identity",
    "ImportResult",
    "ImportSummary",
    "Interface",
    "InterfaceInput",
    "InterfacePatch",
    "JoinToken",
    "JoinTokenInput",
    "LogEvent",
    "LogPage",
    "MapHost",
    "Move",
    "MoveInput",
    "Network",
    "NetworkInput",
    "NetworkLine",
    "NetworkPatch",
    "NetworkPutInput",
    "OperationalEvent",
    "Overview",
    "PrepareInput",
    "Problem",
    "ProblemFault",
    "Quota",
    "QuotaUse",
    "Rates",
    "RenewInput",
    "Resolution",
    "ThawInput",
    "Thawed",
    "Token",
    "TokenInput",
    "Topology",
    "Trust",
    "Unconfirmed",
    "Vm",
    "VmInput",
    "VmLine",
    "VmPatch",
    "VmPutInput",
  ]);
  const body = document.paths["/v1/networks/{name}"].put.requestBody.content["application/json"].schema;
  expect(body).toEqual({ $ref: "#/components/schemas/NetworkPutInput" });
});

test("is shown at /docs, with everything that the page needs", async () => {
  const controller = await startController();
  const page = await controller.request("GET", "/docs");
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(page.headers.get("content-security-policy")).not.toContain("upgrade-insecure-requests");
  const needed = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
  expect(needed.length).toBeGreaterThan(3);
  for (const path of needed) {
    expect(path).toMatch(/^\.?\//);
    await call(controller, 200, "GET", new URL(path, `http://${controller.base}/docs/`).pathname);
  }
  const document = await call(controller, 200, "GET", "/docs/json");
  expect(document).toEqual(await call(controller, 200, "GET", "/openapi.json"));
});
