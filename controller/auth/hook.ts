// Admits requests: origin, identity, rate and access are checked before a body is read or a WebSocket is opened.
import { TLSSocket } from "node:tls";
import rateLimit from "@fastify/rate-limit";
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from "fastify";
import { defined } from "../../common/defined.ts";
import { agentPath } from "../../schema/agent/index.ts";
import { bearerProtocol } from "../../schema/plain/index.ts";
import type { App } from "../http/app-types.ts";
import { Refusal } from "../inventory/refusal.ts";
import { countedAddress } from "../peer.ts";
import { findObstacle } from "./authorize.ts";
import type { Connections } from "./connections.ts";
import { CostlyRequests } from "./costly-requests.ts";
import { type DoorLimits, findAmbiguity, isAllowedHost, isAllowedOrigin } from "./front-door.ts";
import { type CertifiedHost, type Identity, nameOf } from "./identity.ts";
import type { RefusalLog } from "./refusals.ts";

export interface Credentials {
  /** The identity behind a bearer token that is valid now. */
  readonly findToken: (token: string) => Identity | undefined;
  /** When a token has expired that is not valid any more; undefined where it is unknown. */
  readonly expiredAt: (token: string) => string | undefined;
  /** Identity from a client certificate that TLS has verified. */
  readonly findCertified: (socket: FastifyRequest["raw"]["socket"]) => CertifiedHost | undefined;
  /** A certificate of ours for a host that is still registered was revoked. */
  readonly isRevoked: (socket: FastifyRequest["raw"]["socket"]) => boolean;
  /** `--insecure`: requests without credentials are accepted, and no connection is counted. */
  readonly insecure: boolean;
}

const windowSeconds = 10;
const costlyRetrySeconds = { look: 1, bulk: 10 } as const;
const tooCostly = {
  look: "too many requests of this identity that read much data are in progress: wait for their answers",
  bulk: "this identity already has the maximum of exports and imports in progress: wait until one is complete",
} as const;
/** When connections are all in use. */
const crowdedRetrySeconds = 5;

declare module "fastify" {
  interface FastifyRequest {
    /** Why the request has no identity; raised by routes that require one. */
    anonymousBecause: string;
    /** It shows a certificate that was revoked. */
    isRevoked: boolean;
  }
}

export interface DoorDeps {
  readonly credentials: Credentials;
  readonly limits: DoorLimits;
  readonly refusals: RefusalLog;
  readonly onRefused: (reason: string) => void;
  readonly connections: Connections;
  /**
   * An agent whose certificate is not valid any more. @returns whether that is worth a line in the log; undefined where it is no agent of ours
   */
  readonly onAgentRefused?: (socket: FastifyRequest["raw"]["socket"]) => boolean | undefined;
}

type RouteOfRequest = FastifyRequest["routeOptions"];

/** Before the routes. Each must state its `access`, or the app does not get ready. */
export async function registerFrontDoor(
  app: App,
  { credentials, limits, refusals, onRefused, connections, onAgentRefused }: DoorDeps,
): Promise<void> {
  // Before TLS hears of it.
  app.server.prependListener("connection", (socket) => connections.opened(socket));
  requireAccess(app);
  const upgrades = new Set<string>();
  app.addHook("onRoute", ({ url, wsHandler }) => {
    if (wsHandler) upgrades.add(url);
  });
  app.decorateRequest("identity", undefined);
  app.decorateRequest("anonymousBecause", "");
  app.decorateRequest("isRevoked", false);

  const refuse = (
    request: FastifyRequest,
    type: "unauthenticated" | "host-revoked" | "forbidden" | "misdirected-request" | "invalid-input",
    why: string,
  ) => {
    onRefused(type);
    const who = request.identity && nameOf(request.identity);
    const path = request.routeOptions.url ?? "";
    const isNews = path !== agentPath || onAgentRefused?.(request.raw.socket) !== false;
    if (isNews) refusals.add({ reason: why, address: request.ip, path, ...defined({ who }) });
    return new Refusal(type, why);
  };

  /** The last one that was allowed: most requests have the same. */
  let allowedHost: string | undefined;
  addDirectHook(app, (request) => {
    const { host, origin } = request.headers;
    const ambiguity = findAmbiguity(request.raw, host);
    if (ambiguity !== undefined) throw refuse(request, "invalid-input", ambiguity);
    if ((host === undefined || host !== allowedHost) && !isAllowedHost(host, limits.hosts)) {
      const why = `the controller is not known as "${host ?? ""}": use its address, or start it with --allow-host`;
      throw refuse(request, "misdirected-request", why);
    }
    allowedHost = host;
    if (!isAllowedOrigin(origin, host, limits.origins)) {
      const why = `pages of ${JSON.stringify(origin)} may not use this controller: start it with --allow-origin if they should`;
      throw refuse(request, "forbidden", why);
    }
    const found = identify(request, credentials);
    if (typeof found === "string") request.anonymousBecause = found;
    else request.identity = found;
    return undefined;
  });

  await app.register(rateLimit, { global: false });
  const limit = app.rateLimit({
    timeWindow: windowSeconds * 1_000,
    max: ({ identity }) => windowSeconds * (identity ? limits.requestsPerSecond : limits.unknownPerSecond),
    keyGenerator: ({ identity, ip }) => (identity ? nameOf(identity) : countedAddress(ip)),
    onExceeded: () => onRefused("too-many-requests"),
    errorResponseBuilder: (_request, { after }) =>
      new Refusal("too-many-requests", `the limit for ${windowSeconds} s is used up: try again in ${after}`),
  });
  // An asynchronous hook: it is left out where nothing is counted.
  addDirectHook(app, (request, reply) => {
    return request.identity?.kind === "anyone" ? undefined : (limit.call(app, request, reply) as Promise<void>);
  });

  const checkAccess = (request: FastifyRequest, reply: FastifyReply, { url = "", config }: RouteOfRequest): void => {
    // @fastify/websocket would answer 101 on every route, and then close the socket.
    if (request.ws && !upgrades.has(url))
      throw refuse(request, "invalid-input", "this path has no WebSocket: omit the header Upgrade");
    const { access } = config;
    // No route: the answer reveals nothing about existing resources.
    if (access === undefined || access === "public") return;
    if (!request.identity)
      throw refuse(request, request.isRevoked ? "host-revoked" : "unauthenticated", request.anonymousBecause);
    const obstacle = findObstacle(request.identity, access);
    if (obstacle !== undefined) throw refuse(request, "forbidden", obstacle);
    const crowded = connections.admit(request.raw.socket, request.identity, whenOver(reply));
    if (crowded === undefined) return;
    onRefused("too-many-requests");
    reply.header("connection", "close").header("retry-after", crowdedRetrySeconds);
    throw new Refusal("too-many-requests", crowded);
  };

  const costly = new CostlyRequests();
  /** @returns a promise where the request has to wait for its turn */
  const takeTurn = (
    { identity, ip }: FastifyRequest,
    reply: FastifyReply,
    { config: { cost } }: RouteOfRequest,
  ): Promise<void> | undefined => {
    if (!identity || cost === undefined) return undefined;
    const who = identity.kind === "anyone" ? countedAddress(ip) : nameOf(identity);
    const turn = costly.enter(cost, who, whenOver(reply));
    if (turn) return turn;
    onRefused("too-many-requests");
    reply.header("retry-after", costlyRetrySeconds[cost]);
    throw new Refusal("too-many-requests", tooCostly[cost]);
  };

  addDirectHook(app, (request, reply) => {
    // Fastify makes the object at each reading.
    const { routeOptions } = request;
    checkAccess(request, reply, routeOptions);
    return takeTurn(request, reply, routeOptions);
  });
}

/** Without a promise where `check` returns none: an asynchronous hook costs every request a turn of the microtask queue. */
function addDirectHook(
  app: App,
  check: (request: FastifyRequest, reply: FastifyReply) => Promise<void> | undefined,
): void {
  app.addHook("onRequest", (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => {
    let turn: Promise<void> | undefined;
    try {
      turn = check(request, reply);
    } catch (error) {
      return done(error as Error);
    }
    if (turn) turn.then(() => done(), done);
    else done();
  });
}

/** Calls the callback when the request is over, answered or not. */
function whenOver({ raw }: FastifyReply) {
  return (listener: () => void): void => void raw.once("close", listener);
}

function requireAccess(app: App): void {
  const routes: RouteOptions[] = [];
  app.addHook("onRoute", (route) => {
    routes.push(route);
  });
  app.addHook("onReady", async () => {
    const unstated = routes.filter(({ config }) => config?.access === undefined);
    if (unstated.length === 0) return;
    throw new Error(`no access is stated for ${unstated.map(({ method, url }) => `${method} ${url}`).join(", ")}`);
  });
}

/** The token that a request carries: in its header, or where a WebSocket cannot have one among its subprotocols. */
function tokenOf({ headers }: FastifyRequest): string | undefined | "malformed" {
  const { authorization, upgrade } = headers;
  if (authorization !== undefined) return /^Bearer +([\w-]+) *$/i.exec(authorization)?.[1] ?? "malformed";
  if (upgrade?.toLowerCase() !== "websocket") return undefined;
  const offered = headers["sec-websocket-protocol"]?.split(",").map((each) => each.trim()) ?? [];
  return offered.find((each) => each.startsWith(bearerProtocol))?.slice(bearerProtocol.length);
}

/** The identity, or why there is none. A request with an invalid token is refused, never treated as anonymous. */
function identify(request: FastifyRequest, credentials: Credentials): Identity | string {
  const { raw } = request;
  const token = tokenOf(request);
  if (token !== undefined) {
    const known = credentials.findToken(token);
    if (known) return known;
    const expired = credentials.expiredAt(token);
    return expired === undefined
      ? "the token is unknown: mistyped, revoked, or of another controller. An admin makes another one with `nearmiss token create`"
      : `the token expired at ${expired}. An admin makes another one with \`nearmiss token create\``;
  }
  const host = credentials.findCertified(raw.socket);
  if (host) return host;
  if (credentials.insecure) return { kind: "anyone" };
  if (credentials.isRevoked(raw.socket)) {
    request.isRevoked = true;
    return "the host's certificate was revoked (`nearmiss audit` has by whom): if it may come back, `nearmiss host add HOST` prints a new line for it";
  }
  const shown = raw.socket instanceof TLSSocket && raw.socket.getPeerX509Certificate() !== undefined;
  return shown
    ? "the certificate has expired, or is of another CA or of a host that is not registered any more: `nearmiss host add HOST` prints a new line for the host"
    : "send a token: `Authorization: Bearer nm_…`";
}
