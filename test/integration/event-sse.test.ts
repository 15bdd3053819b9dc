// Server-Sent Events on the path of the event stream, over real HTTP: read as a simple client reads them.
import { get } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, startController, startSecured } from "./harness.ts";

interface Block {
  readonly event: string;
  readonly id?: string;
  readonly data: { readonly id: string; readonly revision?: number; readonly type?: string; readonly code?: number };
}

/** The events so far, parsed by the standard (WHATWG HTML §9.2.6). */
class SseClient {
  readonly blocks: Block[] = [];
  headers: Record<string, unknown> = {};
  ended = false;
  private rest = "";

  constructor(controller: Controller, query = "", more: Record<string, string> = {}) {
    const headers = { accept: "text/event-stream", ...more };
    const request = get(`http://${controller.base}/v1/events${query}`, { headers, agent: false }, (response) => {
      this.headers = { status: response.statusCode, ...response.headers };
      response.setEncoding("utf8").on("data", (text: string) => this.take(text));
      response.on("close", () => {
        this.ended = true;
      });
    });
    request.on("error", () => {});
    onTestFinished(() => void request.destroy());
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    await waitFor(async () => holds(), { what });
  }

  get changes(): string[] {
    return this.blocks.filter(({ event }) => event === "message").map(({ data }) => data.id);
  }

  private take(text: string): void {
    const blocks = (this.rest + text).split("\n\n");
    this.rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const id = field("id");
      this.blocks.push({
        event: field("event") ?? "message",
        data: JSON.parse(field("data") ?? ""),
        ...(id === undefined ? {} : { id }),
      });
    }
  }
}

test("the stream is text/event-stream, and Last-Event-ID resumes after the last event seen", async () => {
  const controller = await startController();
  await populate(controller);
  const first = new SseClient(controller, "?since=0&type=nearmiss.vm&type=nearmiss.network");
  await first.until(() => first.blocks.some(({ event }) => event === "bookmark"), "the bookmark");
  expect(first.headers).toMatchObject({
    status: 200,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  expect(first.changes).toEqual(["1.0", "2.0", "6.0", "7.0"]);
  const lastId = first.blocks.find(({ data }) => data.id === "6.0")?.id ?? "";
  expect(lastId).toMatch(/^[0-9a-f-]{36}\/6\.0$/);
  const second = new SseClient(controller, "?since=0", { "last-event-id": lastId });
  await second.until(() => second.changes.length === 1, "the change behind");
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
  await second.until(() => second.changes.length === 2, "the live change");
  expect(second.changes).toEqual(["7.0", "8.0"]);
});

test("a bookmark advances the id, so that a quiet client resumes late", async () => {
  const controller = await startController({ stream: { bookmarkMs: 20 } });
  await populate(controller);
  const quiet = new SseClient(controller, "?network=none");
  await quiet.until(() => quiet.blocks.length > 2, "bookmarks");
  expect(quiet.blocks.at(-1)).toMatchObject({ event: "bookmark", id: expect.stringMatching(/\/7$/) });
});

test("without Accept the answer is 426, and 400 for an invalid Last-Event-ID", async () => {
  const controller = await startController();
  expect((await controller.request("GET", "/v1/events")).status).toBe(426);
  const accept = { accept: "text/event-stream;q=0.9, text/plain" };
  const bad = await controller.request("GET", "/v1/events", undefined, { ...accept, "last-event-id": "x" });
  expect([bad.status, bad.body.detail]).toEqual([400, expect.stringContaining("Last-Event-ID")]);
  const beyond = await controller.request("GET", "/v1/events?since=9", undefined, accept);
  expect([beyond.status, beyond.body.type]).toEqual([416, "urn:nearmiss:problem:unknown-position"]);
});

test("ends with the reason of a WebSocket's close code: the token is revoked", async () => {
  const controller = await startSecured();
  const { id, token } = await controller.issue({ role: "viewer" });
  const client = new SseClient(controller, "", { authorization: `Bearer ${token}` });
  await client.until(() => client.blocks.length === 1, "the bookmark");
  await call(controller.admin, 204, "DELETE", `/v1/tokens/${id}`);
  await client.until(() => client.ended, "the end");
  expect(client.blocks.at(-1)).toMatchObject({ event: "end", data: { code: 4401 } });
});

test("ends when the controller stops, which does not wait for it", async () => {
  const controller = await startController();
  const client = new SseClient(controller);
  await client.until(() => client.blocks.length === 1, "the bookmark");
  await controller.stop();
  await client.until(() => client.ended, "the end");
  expect(client.blocks.at(-1)).toMatchObject({ event: "end", data: { code: 1001 } });
});
