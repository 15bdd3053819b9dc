// The controller's event stream as a command follows it: in order, without gap or repetition, over lost connections.
import { createWebSocketStream, WebSocket } from "ws";
import { type CloudEvent, eventCloseCodes } from "../schema/events.ts";
import type { Client } from "./client.ts";
import { CliError, errorOf } from "./errors.ts";

export interface FollowOptions {
  /** Everything behind this revision. Absent: from now on. */
  readonly since?: number;
  /** The connection was lost, and is tried again. */
  readonly onLost?: (reason: string) => void;
}

/** Between two attempts to come back, ms. */
const retryMs = 1_000;
/** After these the same question has the same answer. */
const finalCodes: readonly number[] = [eventCloseCodes.revoked, eventCloseCodes.sinceBeyondLog];

/** Until the reader stops. @throws CliError where the first attempt fails, or no other can succeed */
export async function* followEvents(client: Client, { since, onLost }: FollowOptions): AsyncGenerator<CloudEvent> {
  let position: { readonly revision: number; readonly index: number } | undefined;
  for (let attempt = 1; ; attempt++) {
    // An atomic bulk is one revision of many events: it is asked for again as a whole where it was cut in two.
    const from = position ? position.revision - 1 : since;
    const connection = openEvents(client, from);
    try {
      for await (const event of connection.events) {
        if (position && !isBehind(event, position)) continue;
        if (event.revision !== undefined) position = event;
        yield event;
      }
    } catch (error) {
      if (attempt === 1 && position === undefined) throw client.unreachable(error);
      if (error instanceof CliError && error.status !== 5) throw error;
    } finally {
      connection.close();
    }
    const { code, reason } = await connection.closed;
    if (finalCodes.includes(code)) throw new CliError(`the event stream has ended: ${reason}`, 1);
    onLost?.(reason || "the connection was lost");
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

function isBehind(event: CloudEvent, { revision, index }: { readonly revision: number; readonly index: number }) {
  // What has no place in the log is not repeated.
  if (event.revision === undefined) return true;
  return event.revision > revision || (event.revision === revision && event.index > index);
}

function openEvents(client: Client, since: number | undefined) {
  const url = client.urlOf("/v1/events", { since });
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const { ca } = client.settings;
  const socket = new WebSocket(url, { headers: client.credentials, ...(ca === undefined ? {} : { ca }) });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  const messages = createWebSocketStream(socket, { readableObjectMode: true });
  socket.on("unexpected-response", (request, response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    response.on("end", () => {
      messages.destroy(errorOf(response.statusCode ?? 0, text));
      request.destroy();
    });
  });
  const events = (async function* () {
    for await (const message of messages) yield JSON.parse(String(message)) as CloudEvent;
  })();
  return { events, closed, close: () => socket.terminate() };
}
