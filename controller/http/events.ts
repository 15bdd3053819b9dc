// The event stream's two doors: WebSocket, and Server-Sent Events for simple clients.
import type { FastifyReply, FastifyRequest } from "fastify";
import type { EventCursor } from "../../schema/events/index.ts";
import { eventCloseCodes, eventsPath } from "../../schema/plain/index.ts";
import { Type } from "../../schema/typebox.ts";
import { type Identity, scopeOf } from "../auth/identity.ts";
import type { TokenRegistry } from "../auth/token-registry.ts";
import { sseFraming, webSocketFraming } from "../events/framing.ts";
import type { EventHub } from "../events/hub.ts";
import { type Outlet, sseOutlet, webSocketOutlet } from "../events/outlet.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Metrics } from "../metrics.ts";
import type { Store } from "../store/store.ts";
import type { App } from "./app-types.ts";
import { closeCodes } from "./asyncapi.ts";
import { identityOf } from "./caller.ts";
import { cursorOf, type EventQuery, eventQuery, lensOf } from "./event-query.ts";
import { problems, switching } from "./responses.ts";

export interface EventRouteDeps {
  readonly hub: EventHub;
  readonly store: Pick<Store, "logExtent">;
  readonly tokens: TokenRegistry;
  readonly metrics: Metrics;
  /** Between two pings of a WebSocket. */
  readonly pingMs: number;
}

/** Each costs memory, and a copy of every event. */
const maxStreamsPerToken = 64;

const description =
  "Upgrade to a WebSocket, or ask with `Accept: text/event-stream` for Server-Sent Events. Each message is one CloudEvents " +
  "1.0 event in JSON: every change once, in order of (revision, index), and `nearmiss.bookmark`s that say how far the stream " +
  "has advanced. Between them, marked with `operational: true` and without a revision, are operational events of hosts, " +
  "which are never replayed. `/asyncapi.json` describes the messages.\n\nA filter selects changes by the resource before " +
  "or after them, and does not alter them: a consumer that watches a host is notified of a VM that leaves it. Network, " +
  "host and type must all match.\n\nServer-Sent Events end with an event named `end` that carries the close code of a " +
  `WebSocket:\n\n${closeCodes}`;

export function eventRoutes(app: App, deps: EventRouteDeps): void {
  const { hub, metrics, tokens, pingMs } = deps;
  metrics.observe({ streams: () => hub.size });

  const refuseBeyond = (request: FastifyRequest) => {
    if (tokens.openWith(identityOf(request)) < maxStreamsPerToken) return;
    const why = `this token has ${maxStreamsPerToken} event streams open: close one, or make another token`;
    throw new Refusal("too-many-requests", why);
  };

  /** Until either side closes, or the token ends. */
  const serve = (
    request: FastifyRequest,
    outlet: Outlet,
    view: Parameters<EventHub["serve"]>[1],
    cursor: EventCursor | undefined,
    identity: Identity,
  ) => {
    const onError = (error: unknown) => request.log.error({ err: error }, "event stream failed");
    const consumer = hub.serve(outlet, view, cursor, onError);
    const release = tokens.hold(identity, { end: (reason) => consumer.end(eventCloseCodes.revoked, reason) });
    outlet.onClosed(release);
  };

  app.route({
    method: "GET",
    url: eventsPath,
    config: { access: "watch" },
    schema: {
      tags: ["events"],
      operationId: "followEvents",
      summary: "Every change, live (WebSocket, or Server-Sent Events)",
      description,
      querystring: eventQuery,
      response: {
        101: switching,
        200: {
          description:
            "Server-Sent Events: `data` is the CloudEvent, `id` the value to resume from with `Last-Event-ID`",
          content: { "text/event-stream": { schema: Type.String() } },
        },
        ...problems("upgrade-required", "log-compacted", "unknown-position"),
      },
    },
    handler: async (request, reply) => {
      if (!accepts(request, "text/event-stream")) {
        reply.header("connection", "upgrade").header("upgrade", "websocket");
        const detail = `connect with a WebSocket client (ws://…${eventsPath}), or send Accept: text/event-stream`;
        throw new Refusal("upgrade-required", detail);
      }
      const { identity, lens, cursor } = read(request);
      refuseBeyond(request);
      if (cursor) await refuseCompacted(deps, cursor);
      beginStream(reply);
      serve(request, sseOutlet(reply.raw), { lens, framing: sseFraming }, cursor, identity);
    },
    preValidation: async (request) => {
      // Before the upgrade, so that a filter which makes no sense is answered like any other request.
      if (!request.ws) return;
      read(request);
      refuseBeyond(request);
    },
    wsHandler: (socket, request) => {
      const { identity, lens, cursor } = read(request);
      const outlet = webSocketOutlet(socket, request.raw.socket, pingMs);
      serve(request, outlet, { lens, framing: webSocketFraming }, cursor, identity);
    },
  });
}

/** @throws RequestFormError, Refusal */
function read(request: FastifyRequest) {
  const query = request.query as EventQuery;
  const identity = identityOf(request);
  return { identity, lens: lensOf(query, scopeOf(identity)), cursor: cursorOf(query, request.headers) };
}

/** @throws Refusal */
async function refuseCompacted({ hub, store }: EventRouteDeps, cursor: EventCursor): Promise<void> {
  const obstacle = hub.findObstacle(cursor);
  if (obstacle !== undefined) throw new Refusal("unknown-position", obstacle);
  const { compacted } = await store.logExtent();
  if (cursor.revision >= compacted) return;
  throw new Refusal("log-compacted", `the log is compacted up to revision ${compacted}: start from GET /v1/export`);
}

function accepts({ headers }: FastifyRequest, type: string): boolean {
  return headers.accept?.split(",").some((each) => each.split(";")[0]?.trim().toLowerCase() === type) ?? false;
}

function beginStream(reply: FastifyReply): void {
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.setHeader("content-type", "text/event-stream; charset=utf-8");
  raw.setHeader("cache-control", "no-store");
  // Otherwise proxies such as nginx buffer answers.
  raw.setHeader("x-accel-buffering", "no");
  raw.flushHeaders();
}
