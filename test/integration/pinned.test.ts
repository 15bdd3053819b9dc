// Answers that take longer than a turn of the event loop are of one revision, for a limited time.

import { connect } from "node:net";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { handleError } from "../../controller/http/problems.ts";
import { PinExpiredError } from "../../controller/inventory/pinned-inventory.ts";
import { holdTimeouts } from "../support/held-timeouts.ts";
import { startController } from "./harness.ts";

const fleet = (vms: number): string => {
  const description = "x".repeat(1_000);
  const lines: object[] = [
    { kind: "network", name: "blue", vni: 100, subnets: ["10.0.0.0/16"] },
    { kind: "host", name: "a", vtep: "192.0.2.1" },
    { kind: "host", name: "b", vtep: "192.0.2.2" },
    { kind: "host", name: "c", vtep: "192.0.2.3" },
    { kind: "host", name: "d", vtep: "192.0.2.4" },
    { kind: "host", name: "e", vtep: "192.0.2.5" },
  ];
  for (let n = 0; n < vms; n++) {
    lines.push({ kind: "vm", name: `vm-${n}`, host: "abcde"[n % 5], interfaces: [], description });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
};

test("an export that is not read in time breaks off, without an end", async () => {
  const controller = await startController();
  // More than the kernel takes for a reader that does not read.
  const imported = await fetch(`http://${controller.base}/v1/import`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: fleet(16_000),
  });
  expect(imported.status).toBe(200);
  await imported.text();
  const pass = holdTimeouts();
  const [host = "", port] = controller.base.split(":");
  const socket = connect(Number(port), host);
  socket.write("GET /v1/export HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  await new Promise((resolve) => socket.once("readable", resolve));
  pass(600_000);
  let text = "";
  for await (const chunk of socket) text += chunk;
  expect(text).toContain('"kind":"export"');
  expect(text.endsWith("0\r\n\r\n")).toBe(false);
  expect(text.length).toBeLessThan(16_000_000);
});

test("a list that was not ready in time is answered with 503, and what to do", async () => {
  const app = Fastify();
  app.setErrorHandler(handleError);
  app.get("/", () => {
    throw new PinExpiredError("ask for less");
  });
  const response = await app.inject("/");
  expect([response.statusCode, response.headers["retry-after"]]).toEqual([503, "1"]);
  expect(response.json()).toMatchObject({ type: expect.stringContaining("unavailable"), detail: "ask for less" });
});
