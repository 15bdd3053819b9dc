// The controller's event stream as a command follows it: in order, without gap or repetition, over lost connections.
import { createWebSocketStream, WebSocket } from "ws";
import { defined } from "../common/defined.ts";
import type { BookmarkCloudEvent, CloudEvent, OperationalCloudEvent } from "../schema/events/index.ts";
import { eventCloseCodes, eventsPath } from "../schema/plain/index.ts";
import type { Client, Query } from "./client.ts";
import { CliError } from "./errors.ts";

/** A change, an operational event, or a bookmark. */
export type StreamEvent = CloudEvent | OperationalCloudEvent | BookmarkCloudEvent;

export interface FollowOptions {
  /** Everything behind this position: a revision, or an event's id. Absent: from now on. */
  readonly since?: string;
  readonly filters?: Query;
  /** The connection was lost, and is tried again. */
  readonly onLost?: (reason: string) => void;
}

/** Between two attempts to reconnect, ms. */
const retryMs = 1_000;

/** After these the same question has the same answer. */
const finalCodes: Readonly<Record<number, string>> = {
  [eventCloseCodes.revoked]: "Ask again with another token.",
  [eventCloseCodes.compacted]: "Begin with `nearmiss export`, and follow without --since.",
  [eventCloseCodes.unknownPosition]: "Begin with `nearmiss export`, and follow without --since.",
};

/** Until the reader stops. @throws CliError where the first attempt fails, or no other can succeed */
export async function* followEvents(client: Client, options: FollowOptions): AsyncGenerator<StreamEvent> {
  let since = options.since;
  for (let isFirst = true; ; isFirst = false) {
    const connection = openEvents(client, { ...options.filters, since });
    try {
      for await (const event of connection.events) {
        since = positionOf(event) ?? since;
        yield event;
      }
    } catch (error) {
      if (isFirst || (error instanceof CliError && error.status !== 5)) throw await client.unreachable(error);
    } finally {
      connection.close();
    }
    const { code, reason } = await connection.closed;
    const cure = finalCodes[code];
    if (cure !== undefined) throw new CliError(`the event stream has ended: ${reason}\n${cure}`, 1);
    options.onLost?.(reason || "the connection was lost");
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

/** Where to go on behind it; undefined where it has no place in the log. */
function positionOf(event: StreamEvent): string | undefined {
  if (!("revision" in event)) return undefined;
  return `${event.source.replace(/^.*\//, "")}/${event.id}`;
}

function openEvents(client: Client, query: Query) {
  const url = client.urlOf(eventsPath, query);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const { ca } = client.settings;
  const socket = new WebSocket(url, { headers: client.credentials, ...defined({ ca }) });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  let refusal: CliError | undefined;
  socket.on("unexpected-response", (_request, response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    response.on("end", () => {
      refusal = client.refused(response.statusCode ?? 0, text, response.headers);
      socket.terminate();
    });
  });
  const messages = createWebSocketStream(socket, { readableObjectMode: true });
  const events = (async function* () {
    try {
      for await (const message of messages) yield JSON.parse(String(message)) as StreamEvent;
    } catch (error) {
      throw refusal ?? error;
    }
  })();
  return { events, closed, close: () => socket.terminate() };
}
