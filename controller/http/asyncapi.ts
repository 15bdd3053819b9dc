// /asyncapi.json: the event stream in AsyncAPI 3, made from the shapes of its messages and the query that is validated.
import { BookmarkShape, changeShapes, OperationalShape } from "../../schema/events/index.ts";
import { cloudEventsProtocol, eventCloseCodes, eventsPath } from "../../schema/plain/index.ts";
import { Type } from "../../schema/typebox.ts";
import { version } from "../../schema/version.ts";
import type { App } from "./app-types.ts";
import { eventQuery } from "./event-query.ts";
import { problems } from "./responses.ts";

const contentType = "application/cloudevents+json";

/** In this order: a change of each kind, then the other messages. */
const shapes = { ...changeShapes, bookmark: BookmarkShape, operational: OperationalShape };

const closeCodeTexts: Readonly<Record<keyof typeof eventCloseCodes, string>> = {
  tooSlow: "read too slowly: connect again behind the last event received",
  compacted: "the log does not go back so far: start from `/v1/export`",
  unknownPosition: "the position is beyond the log or of another epoch: start from `/v1/export`",
  revoked: "the token was revoked or has expired",
  controllerStopping: "the controller is stopping: connect again",
  failed: "the controller failed: connect again",
};

/** For a person, one line for each. */
export const closeCodes = Object.entries(eventCloseCodes)
  .map(([name, code]) => `- ${code}: ${closeCodeTexts[name as keyof typeof eventCloseCodes]}`)
  .join("\n");

function asyncApi() {
  const message = ([name, payload]: [string, { title: string; description: string }]) => [
    name,
    { name, title: payload.title, summary: payload.description, contentType, payload },
  ];
  const messages = Object.fromEntries(Object.entries(shapes).map((each) => message(each as never)));
  const references = Object.keys(shapes).map((name) => ({ $ref: `#/channels/events/messages/${name}` }));
  return {
    asyncapi: "3.0.0",
    info: {
      title: "nearmiss event stream",
      version,
      description:
        "Every change of the inventory once, in order of (revision, index), and between them the operational events of hosts. " +
        `The WebSocket subprotocol is \`${cloudEventsProtocol}\`; with \`Accept: text/event-stream\` the same path speaks ` +
        `Server-Sent Events, and closes with an event named \`end\`.\n\nClose codes:\n\n${closeCodes}`,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: contentType,
    servers: {
      controller: {
        host: "{address}",
        protocol: "ws",
        variables: { address: { default: "127.0.0.1:4788", description: "Where the controller listens" } },
        security: [{ $ref: "#/components/securitySchemes/token" }],
      },
    },
    channels: {
      events: {
        address: eventsPath,
        title: "Events",
        messages,
        bindings: { ws: { method: "GET", query: eventQuery, bindingVersion: "0.1.0" } },
      },
    },
    operations: {
      sendEvents: { action: "send", channel: { $ref: "#/channels/events" }, messages: references },
    },
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
  };
}

export function asyncApiRoutes(app: App): void {
  // Created once: unauthenticated clients may request it.
  const document = JSON.stringify(asyncApi());
  app.get(
    "/asyncapi.json",
    {
      config: { access: "public" },
      schema: {
        tags: ["operations"],
        operationId: "getAsyncApi",
        security: [],
        summary: "The event stream, as AsyncAPI describes it",
        response: { 200: Type.Object({}, { description: "AsyncAPI 3", additionalProperties: true }), ...problems() },
      },
    },
    (_request, reply) => reply.type("application/json; charset=utf-8").send(document as never),
  );
}
