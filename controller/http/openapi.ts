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
  });
}

export function openApiRoutes(app: App): void {
  app.get(
    "/openapi.json",
    {
      schema: {
        tags: ["operations"],
        summary: "This document",
        response: { 200: Type.Object({}, { additionalProperties: true }), ...problems() },
      },
    },
    () => app.swagger(),
  );
}
