import { Type } from "typebox";
import { parseRevision } from "../../schema/index.ts";
import { type StreamDeps, streamEvents } from "../events/event-stream.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Metrics } from "../metrics.ts";
import type { App } from "./app-types.ts";
import { problems, switching } from "./responses.ts";

const query = Type.Object(
  {
    since: Type.Optional(
      Type.Integer({ minimum: 0, description: "Replay every event behind this revision first. Absent: only new ones" }),
    ),
  },
  { additionalProperties: false },
);

export function eventRoutes(app: App, deps: Omit<StreamDeps, "onError"> & { readonly metrics: Metrics }): void {
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
        "Close codes: 4408 the consumer reads too slowly, connect again with `since`; 4416 `since` lies beyond the " +
        "log; 1001 the controller is stopping; 1011 it failed.",
      querystring: query,
      response: { 101: switching, ...problems("upgrade-required") },
    },
    handler: (_request, reply) => {
      reply.header("connection", "upgrade").header("upgrade", "websocket");
      throw new Refusal("upgrade-required", "connect with a WebSocket client: ws://…/v1/events");
    },
    wsHandler: (socket, { query: { since }, log }) => {
      streams += 1;
      socket.once("close", () => {
        streams -= 1;
      });
      return streamEvents(socket, since === undefined ? undefined : parseRevision(since), {
        ...deps,
        onError: (error) => log.error({ err: error }, "event stream failed"),
      });
    },
  });
}
