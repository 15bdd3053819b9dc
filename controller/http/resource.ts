// The routes that every kind of resource has. What differs between kinds is in `networks.ts`, `hosts.ts`, `vms.ts`.
import type { ResourceKind } from "../../schema/index.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { ResourceHandlers } from "./resource-handlers.ts";
import { resourceSchemas } from "./resource-schemas.ts";
import type { ResourceType } from "./resource-type.ts";
import { addRoutes } from "./route-table.ts";

export function resourceRoutes<K extends ResourceKind, Input, Patch>(
  app: App,
  committer: Committer,
  type: ResourceType<K, Input, Patch>,
): void {
  const { read, write } = type.access;
  const all = `/v1/${type.plural}`;
  const one = `${all}/:name`;
  const schemas = resourceSchemas(type);
  const handlers = new ResourceHandlers(type, committer);
  addRoutes(app, [
    { method: "GET", url: all, access: read, cost: "look", schema: schemas.list, handler: handlers.list },
    { method: "GET", url: one, access: read, schema: schemas.get, handler: handlers.get },
    { method: "POST", url: all, access: write, schema: schemas.create, handler: handlers.create },
    { method: "PUT", url: one, access: write, schema: schemas.put, handler: handlers.put },
    { method: "PATCH", url: one, access: write, schema: schemas.patch, handler: handlers.patch },
    { method: "DELETE", url: one, access: write, schema: schemas.delete, handler: handlers.delete },
  ]);
}
