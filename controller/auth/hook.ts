// Where requests are let in: who asks is established and judged before a body is read or a WebSocket is opened.
import type { FastifyRequest } from "fastify";
import type { App } from "../http/app-types.ts";
import { Refusal } from "../inventory/refusal.ts";
import { findObstacle } from "./authorize.ts";
import type { CertifiedHost, Identity } from "./identity.ts";

export interface Credentials {
  /** The identity behind a bearer token that is valid now. */
  readonly findToken: (token: string) => Identity | undefined;
  /** What a client certificate, verified by TLS, says of the peer. */
  readonly findCertified: (socket: FastifyRequest["raw"]["socket"]) => CertifiedHost | undefined;
  /** `--insecure`: who shows nothing is let in. */
  readonly insecure: boolean;
}

/** Before the routes. Each must state its `access`, or the app does not get ready. */
export function registerAuthentication(app: App, credentials: Credentials): void {
  const unstated: string[] = [];
  app.addHook("onRoute", (route) => {
    if (route.config?.access === undefined) unstated.push(`${route.method} ${route.url}`);
  });
  app.addHook("onReady", async () => {
    if (unstated.length > 0) throw new Error(`no access is stated for ${unstated.join(", ")}`);
  });
  app.decorateRequest("identity", undefined);
  app.addHook("onRequest", async (request) => {
    const { access } = request.routeOptions.config;
    // No route: what is answered to that says nothing of what there is.
    if (access === undefined || access === "public") return;
    request.identity = identify(request, credentials);
    const obstacle = findObstacle(request.identity, access);
    if (obstacle !== undefined) throw new Refusal("forbidden", obstacle);
  });
}

/** @throws Refusal */
function identify({ headers, raw }: FastifyRequest, credentials: Credentials): Identity {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, token] = /^Bearer +([\w-]+) *$/i.exec(authorization) ?? [];
    const identity = token === undefined ? undefined : credentials.findToken(token);
    if (identity) return identity;
    throw new Refusal("unauthenticated", "the token is unknown, expired or revoked: `nearmiss token create` makes one");
  }
  const host = credentials.findCertified(raw.socket);
  if (host) return host;
  if (credentials.insecure) return { kind: "anyone" };
  throw new Refusal("unauthenticated", "send a token: `Authorization: Bearer nm_…`");
}
