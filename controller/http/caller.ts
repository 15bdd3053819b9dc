// The caller of a request, as the front door (`auth/hook.ts`) has established it.
import type { FastifyRequest } from "fastify";
import type { Actor } from "../../schema/rest/index.ts";
import type { Access } from "../auth/authorize.ts";
import type { Cost } from "../auth/costly-requests.ts";
import { actorFor, type Identity } from "../auth/identity.ts";
import { type InventoryView, viewFor } from "../auth/view.ts";
import type { Inventory } from "../inventory/inventory.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Access to the route: each must declare it, or the controller does not start. */
    access?: Access;
    /** Stated where one request may read or make much. */
    cost?: Cost;
  }
  interface FastifyRequest {
    identity: Identity | undefined;
  }
}

/** @throws Error on a public route */
export function identityOf({ identity, routeOptions }: FastifyRequest): Identity {
  if (!identity) throw new Error(`${routeOptions.url} is public: it has no caller`);
  return identity;
}

/** On whose behalf a handler changes something. */
export function actorOf(request: FastifyRequest): Actor {
  return actorFor(identityOf(request), request.ip);
}

/** The caller's view of `state`. Handlers must answer only from it. */
export function callerView(request: FastifyRequest, state: Inventory): InventoryView {
  return viewFor(identityOf(request), state);
}
