// /openapi.json: made from the validation schemas, so that it cannot differ from the controller's behaviour. /docs shows it.
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { Type } from "../../schema/typebox.ts";
import { version } from "../../schema/version.ts";
import type { App } from "./app-types.ts";
import { problems } from "./responses.ts";

const securitySchemes = {
  token: { type: "http", scheme: "bearer", description: "`nearmiss token create` creates one. Not with --insecure" },
} as const;

/** Before the routes that it describes. */
export async function registerOpenApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "nearmiss controller",
        description: "The control plane for Linux VXLAN that answers the kernel's neighbour misses",
        version,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: { securitySchemes },
      security: [{ token: [] }],
      tags: [
        { name: "networks", description: "Overlay segments: VNI, subnets, MTU, and ranges for automatic addresses" },
        { name: "hosts", description: "Machines that run an agent" },
        {
          name: "vms",
          description:
            "VMs and containers with their interfaces, as the network has them: no request makes, starts or stops one",
        },
        { name: "bulk", description: "The whole inventory at once" },
        { name: "resolve", description: "Answers to agents" },
        { name: "events", description: "Every change as it happens" },
        { name: "enrolment", description: "Issuing, renewing and revoking certificates of hosts" },
        { name: "authorities", description: "The CAs that sign certificates" },
        { name: "access", description: "Tokens and the audit trail" },
        { name: "agents", description: "The channel of agents" },
        { name: "operations", description: "Health, metrics and documents for operators" },
      ],
    },
    transformObject: (document) =>
      "openapiObject" in document ? nameShapes(document.openapiObject) : document.swaggerObject,
  });
}

/** Shapes with a title become components, each stated once: code made from the document gets types with names. */
function nameShapes<Document extends object>(document: Document): Document {
  const schemas: Record<string, unknown> = {};
  const walk = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node !== "object" || node === null) return node;
    const walked = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, walk(value)]));
    if (typeof walked.title !== "string" || ![walked.type].flat().includes("object")) return walked;
    schemas[walked.title] = walked;
    return { $ref: `#/components/schemas/${walked.title}` };
  };
  const { components: _none, ...rest } = walk(document) as Record<string, unknown>;
  return { ...rest, components: { schemas, securitySchemes } } as unknown as Document;
}

export function openApiRoutes(app: App): void {
  /** Created once: unauthenticated clients may request it. */
  let text: string | undefined;
  app.get(
    "/openapi.json",
    {
      config: { access: "public" },
      schema: {
        tags: ["operations"],
        operationId: "getOpenApi",
        security: [],
        summary: "This document",
        response: { 200: Type.Object({}, { description: "OpenAPI 3.1", additionalProperties: true }), ...problems() },
      },
    },
    (_request, reply) => {
      text ??= JSON.stringify(app.swagger());
      return reply.type("application/json; charset=utf-8").send(text as never);
    },
  );
}

/** The document for people, where they can try each request. Nothing is fetched from elsewhere. */
export async function registerDocsPage(app: App): Promise<void> {
  await app.register(async (scope) => {
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, access: "public" };
    });
    await scope.register(swaggerUi, {
      routePrefix: "/docs",
      staticCSP: {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "frame-ancestors": ["'none'"],
      },
      uiConfig: { deepLinking: true, displayOperationId: true, persistAuthorization: false },
      theme: { title: "nearmiss API" },
    });
  });
}
