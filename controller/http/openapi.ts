// /openapi.json: made from the schemas that validate, so that it cannot differ from what the controller does.
import swagger from "@fastify/swagger";
import { Type } from "typebox";
import { version } from "../../schema/index.ts";
import type { App } from "./app-types.ts";
import { problems } from "./responses.ts";

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
  return { ...rest, components: { schemas } } as unknown as Document;
}

export function openApiRoutes(app: App): void {
  app.get(
    "/openapi.json",
    {
      config: { access: "public" },
      schema: {
        tags: ["operations"],
        summary: "This document",
        response: { 200: Type.Object({}, { description: "OpenAPI 3.1", additionalProperties: true }), ...problems() },
      },
    },
    () => app.swagger(),
  );
}
