import { Type } from "typebox";
import { eventCloseCodes, type OperationalEvent, parseRevision } from "../../schema/index.ts";
import { scopeOf } from "../auth/identity.ts";
import type { TokenRegistry } from "../auth/token-registry.ts";
import type { Committer } from "../committer.ts";
import { type StreamDeps, streamEvents } from "../events/event-stream.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Metrics } from "../metrics.ts";
import type { App } from "./app-types.ts";
import { callerView, identityOf } from "./caller.ts";
import { mayKnow } from "./operational-events.ts";
import { problems, switching } from "./responses.ts";

/** How long a consumer whose token was revoked may take to answer the close. */
const closeTimeoutMs = 2_000;

const query = Type.Object(
  {
    since: Type.Optional(
      Type.Integer({ minimum: 0, description: "Replay every event behind this revision first. Absent: only new ones" }),
    ),
  },
  { additionalProperties: false },
);

export function eventRoutes(
  app: App,
  deps: Omit<StreamDeps, "onError"> & {
    readonly committer: Committer;
    readonly metrics: Metrics;
    readonly tokens: TokenRegistry;
  },
): void {
  let streams = 0;
  deps.metrics.observe({ streams: () => streams });
  app.route({
    method: "GET",
    url: "/v1/events",
    config: { access: "watch" },
    schema: {
      tags: ["events"],
      summary: "Every change, live (WebSocket)",
      description:
        "Upgrade to a WebSocket. Each message is one CloudEvents 1.0 event in JSON, in order of (revision, index). " +
        "Between them, marked with `operational: true` and without a revision, comes what happens on hosts and is no " +
        "inventory; it is never replayed. " +
        "Close codes: 4408 the consumer reads too slowly, connect again with `since`; 4416 `since` lies beyond the " +
        "log; 4401 the token was revoked or has expired; 1001 the controller is stopping; 1011 it failed.",
      querystring: query,
      response: { 101: switching, ...problems("upgrade-required") },
    },
    handler: (_request, reply) => {
      reply.header("connection", "upgrade").header("upgrade", "websocket");
      throw new Refusal("upgrade-required", "connect with a WebSocket client: ws://…/v1/events");
    },
    wsHandler: (socket, request) => {
      const { since } = request.query;
      const identity = identityOf(request);
      streams += 1;
      const release = deps.tokens.hold(identity, {
        end(reason) {
          socket.close(eventCloseCodes.revoked, reason);
          setTimeout(() => socket.terminate(), closeTimeoutMs).unref();
        },
      });
      socket.once("close", () => {
        streams -= 1;
        release();
      });
      const consumer = {
        since: since === undefined ? undefined : parseRevision(since),
        scope: scopeOf(identity),
        sees: (event: OperationalEvent) => mayKnow(callerView(request, deps.committer.current), event),
      };
      const onError = (error: unknown) => request.log.error({ err: error }, "event stream failed");
      return streamEvents(socket, consumer, { ...deps, onError });
    },
  });
}
