// A consumer of the event stream that does not read: disconnected at its limit, with the reason, and without loss when
// it reconnects.
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Controller, call, startController } from "./harness.ts";

/** Notes the ids of changes, and the close code. */
class PausableConsumer {
  readonly ids: string[] = [];
  code: number | undefined;
  readonly socket: WebSocket;

  constructor(controller: Controller) {
    this.socket = new WebSocket(`ws://${controller.base}/v1/events?since=0`, { perMessageDeflate: false });
    this.socket.on("message", (data) => {
      const event = JSON.parse(String(data));
      if ("index" in event) this.ids.push(event.id);
    });
    this.socket.on("close", (code) => {
      this.code = code;
    });
    onTestFinished(() => this.socket.terminate());
  }
}

/** Large, because the kernel's buffers take megabytes before a stalled reader is felt. */
const interfaces = Array.from({ length: 32 }, (_, i) => ({
  network: "wide",
  mac: `52:54:00:00:00:${i.toString(16).padStart(2, "0")}`,
  ips: Array.from({ length: 64 }, (_, j) => `fd00::${i + 1}:${j + 1}`),
}));

async function furnish(controller: Controller): Promise<void> {
  await call(controller, 201, "PUT", "/v1/networks/wide", { vni: 5, subnets: ["fd00::/64"] });
  await call(controller, 201, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
  await call(controller, 201, "PUT", "/v1/vms/wide", { host: "a", interfaces });
}

/** One large change. */
async function change(controller: Controller, n: number): Promise<void> {
  await call(controller, 200, "PATCH", "/v1/vms/wide", { labels: { n: `${n}` } });
}

/** The controller's end of the connection that was opened last. */
const lastClient = ({ app }: Controller) => [...app.websocketServer.clients].at(-1) as WebSocket;

test.each([
  ["bytes", { maxBufferedBytes: 256 * 1024, maxWaitMs: 60_000 }],
  ["age", { maxBufferedBytes: 1024 * 1024 * 1024, maxWaitMs: 100 }],
])("beyond its limit of %s", { timeout: 60_000 }, async (_bound, limits) => {
  const controller = await startController({ stream: limits });
  await furnish(controller);
  const reader = controller.events("?since=0");
  const slow = new PausableConsumer(controller);
  await waitFor(() => slow.ids.length === 3, { what: "the first events" });
  const client = lastClient(controller);
  slow.socket.pause();
  let changes = 0;
  while (client.readyState === client.OPEN) {
    if (changes === 400) throw new Error("not cut off after 400 large changes");
    await change(controller, changes);
    changes += 1;
  }
  await reader.untilAll((events) => events.length === 3 + changes);
  slow.socket.resume();
  await waitFor(() => slow.code !== undefined, { what: "the close" });
  // The close frame waits behind the data in the kernel: a consumer that reads on within two seconds receives it.
  expect([eventCloseCodes.tooSlow, 1006]).toContain(slow.code);
  const again = controller.events(`?since=${slow.ids.at(-1)}`);
  await again.until(({ revision }) => revision === 3 + changes);
  expect([...slow.ids, ...again.ids.filter((id) => id.includes("."))]).toEqual(
    Array.from({ length: 3 + changes }, (_, i) => `${i + 1}.0`),
  );
});

test("learns the reason if it reads again in time", async () => {
  const controller = await startController({ stream: { maxBufferedBytes: 1_000, maxWaitMs: 50 } });
  await furnish(controller);
  const slow = new PausableConsumer(controller);
  await waitFor(() => slow.ids.length === 3, { what: "the first events" });
  const client = lastClient(controller);
  slow.socket.pause();
  for (let n = 0; client.readyState === client.OPEN; n += 1) await change(controller, n);
  slow.socket.resume();
  await waitFor(() => slow.code !== undefined, { what: "the close" });
  expect(slow.code).toBe(eventCloseCodes.tooSlow);
});
