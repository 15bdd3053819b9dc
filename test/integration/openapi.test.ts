// The document against the controller: same routes, same problems, and nothing undocumented for whatever is sent.
import fc from "fast-check";
import { expect, test } from "vitest";
import { problemTypes, problemUri } from "../../schema/index.ts";
import { call, populate, startController } from "./harness.ts";

interface Operation {
  readonly summary?: string;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const operations = (paths: Paths) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test("describes every route that the controller has, and no other", async () => {
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
    "GET /v1/events",
    "GET /v1/export",
    "GET /v1/hosts",
    "GET /v1/hosts/{name}",
    "GET /v1/networks",
    "GET /v1/networks/{name}",
    "GET /v1/operational-events",
    "GET /v1/resolve",
    "GET /v1/tokens",
    "GET /v1/vms",
    "GET /v1/vms/{name}",
    "PATCH /v1/hosts/{name}",
    "PATCH /v1/networks/{name}",
    "PATCH /v1/vms/{name}",
    "POST /v1/authorities",
    "POST /v1/authorities/{id}/issue",
    "POST /v1/enrol",
    "POST /v1/hosts",
    "POST /v1/hosts/{name}/join-token",
    "POST /v1/hosts/{name}/revoke",
    "POST /v1/import",
    "POST /v1/networks",
    "POST /v1/renew",
    "POST /v1/tokens",
    "POST /v1/vms",
    "POST /v1/vms/{name}/move",
    "PUT /v1/hosts/{name}",
    "PUT /v1/networks/{name}",
    "PUT /v1/vms/{name}",
  ]);
  expect(operations(document.paths).every(({ operation }) => operation.summary)).toBe(true);
});

test("names every problem type of the table, and no other, under its status", async () => {
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

test("states each shape once, under a name", async () => {
  const controller = await startController();
  const document = await call(controller, 200, "GET", "/openapi.json");
  expect(Object.keys(document.components.schemas).sort()).toEqual([
    "AuditEntry",
    "Authority",
    "Credentials",
    "EnrolInput",
    "ExportLine",
    "Host",
    "HostInput",
    "HostLine",
    "HostPatch",
    "HostPutInput",
    "ImportResult",
    "ImportSummary",
    "Interface",
    "InterfaceInput",
    "InterfacePatch",
    "JoinToken",
    "JoinTokenInput",
    "Move",
    "MoveInput",
    "Network",
    "NetworkInput",
    "NetworkLine",
    "NetworkPatch",
    "NetworkPutInput",
    "OperationalEvent",
    "Problem",
    "ProblemFault",
    "RenewInput",
    "Resolution",
    "Token",
    "TokenInput",
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

const text = fc.oneof(
  fc.constantFrom(
    "a",
    "blue",
    "web-1",
    "10.20.1.1",
    "10.20.1.0/24",
    "fd00:20::/64",
    "52:54:00:00:00:01",
    "192.0.2.1",
    "",
  ),
  fc.string({ maxLength: 20 }),
);
const someValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.integer(),
    fc.constant(100),
    fc.boolean(),
    fc.constant(null),
    tie("list"),
    tie("object"),
  ),
  list: fc.array(tie("value"), { maxLength: 3 }),
  object: fc.dictionary(
    fc.constantFrom(
      "name",
      "vni",
      "subnets",
      "mtu",
      "vtep",
      "port",
      "host",
      "interfaces",
      "network",
      "mac",
      "ips",
      "router",
      "x",
    ),
    tie("value"),
    { maxKeys: 5 },
  ),
})).value;
const someBody = fc.oneof(
  someValue,
  fc.record({ vni: fc.oneof(fc.integer({ min: 1, max: 300 }), someValue), subnets: fc.array(text, { maxLength: 3 }) }),
  fc.record({ vtep: text, port: fc.integer({ min: 0, max: 70_000 }) }, { requiredKeys: ["vtep"] }),
  fc.record({
    host: fc.constantFrom("a", "b", "c"),
    interfaces: fc.array(fc.record({ network: text, mac: text, ips: fc.array(text, { maxLength: 2 }) }), {
      maxLength: 2,
    }),
  }),
);

test("whatever is sent, the answer is a documented one, and never the controller's failure", async () => {
  const controller = await startController();
  await populate(controller);
  const { paths } = await call(controller, 200, "GET", "/openapi.json");
  const routes = operations(paths).filter(({ path }) => path.startsWith("/v1/"));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      text,
      someBody,
      text,
      async ({ path, method, operation }, name, body, query) => {
        // URLs lose dots as segments, which would make this another path.
        const segment = ["", ".", ".."].includes(name) ? "x" : name;
        const url = path.replace("{name}", encodeURIComponent(segment));
        const search = path === "/v1/resolve" ? `?vni=100&ip=${encodeURIComponent(query)}` : "";
        const { statusCode } = await controller.app.inject({
          method: method.toUpperCase() as "PUT",
          url: `${url}${search}`,
          ...(["put", "post", "patch"].includes(method)
            ? { payload: JSON.stringify(body), headers: { "content-type": "application/json" } }
            : {}),
        });
        expect(Object.keys(operation.responses)).toContain(String(statusCode));
        expect(statusCode).toBeLessThan(500);
      },
    ),
    { numRuns: 600 },
  );
  expect(controller.fatal).toEqual([]);
});
