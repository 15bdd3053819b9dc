// One identity sends many costly requests at once: it waits, or is asked to wait, and others are answered.
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { call, populate, startSecured } from "../integration/harness.ts";

/** Searches without a match: reads as much of the log as one request may. */
const search = "/v1/log?name=nowhere";

async function withLog() {
  const controller = await startSecured({ door: { requestsPerSecond: 10_000 } });
  await populate(controller.admin);
  const lines = Array.from({ length: 3_000 }, (_, n) =>
    JSON.stringify({ kind: "vm", name: `many-${n}`, host: "a", interfaces: [] }),
  );
  const headers = { "content-type": "application/x-ndjson" };
  const { status } = await controller.admin.request("POST", "/v1/import", lines.join("\n"), headers);
  expect(status).toBe(200);
  return controller;
}

test("of a hundred reads of the log at once some wait, the rest get 429 with a retry time, and other identities go first", async () => {
  const controller = await withLog();
  const [viewer, other] = await Promise.all([1, 2].map(() => controller.issue({ role: "viewer" })));
  if (!viewer || !other) throw new Error("two tokens");
  const order: string[] = [];
  const ask = async (token: string, who: string, path = search) => {
    const answer = await controller.as(token).request("GET", path);
    order.push(`${who} ${answer.status}`);
    return answer;
  };
  const flood = Array.from({ length: 100 }, () => ask(viewer.token, "flood"));
  await Promise.race(flood);
  const honest = await Promise.all([
    ask(other.token, "honest"),
    ask(other.token, "honest", "/v1/vms"),
    ask(controller.adminToken, "honest", "/v1/overview"),
    ask(viewer.token, "honest", "/v1/vms/web-1"),
  ]);
  expect(honest.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const before = order.slice(0, order.lastIndexOf("honest 200"));
  const answers = await Promise.all(flood);
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(66);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every(({ headers }) => headers.get("retry-after") === "1")).toBe(true);
  // Behind two that ran already, and as many as ran while these did.
  expect(before.filter((each) => each === "flood 200").length).toBeLessThan(33);
  expect((await ask(viewer.token, "again")).status).toBe(200);
});

test("imports that never end use up the places of their identity only", async () => {
  const controller = await withLog();
  const operator = await controller.issue({ role: "operator" });
  const headers = { authorization: `Bearer ${operator.token}`, "content-type": "application/x-ndjson" };
  const statuses: (number | undefined)[] = [];
  const underWay = (count: number) =>
    waitFor(
      async () =>
        (await call(controller.admin, 200, "GET", "/metrics")).includes(`nearmiss_controller_imports ${count}\n`),
      { what: `${count} imports to be under way` },
    );
  for (let n = 0; n < 5; n += 1) {
    const endless = request(`http://${controller.base}/v1/import`, { method: "POST", headers, agent: false });
    endless.on("error", () => {});
    onTestFinished(() => void endless.destroy());
    endless.flushHeaders();
    // Two of one caller are received at a time, and these are never answered.
    if (n >= 2) statuses.push((await once(endless, "response"))[0].statusCode);
    else await underWay(n + 1);
  }
  expect(statuses).toEqual([429, 429, 429]);
  await call(controller.as(operator.token), 200, "GET", "/v1/vms");
  expect((await controller.admin.request("GET", "/v1/export")).status).toBe(200);
});

test("every route that reads states its cost, or is known to read a few resources at most", () => {
  const folder = join(import.meta.dirname, "../../controller/http");
  const routes = readdirSync(folder).flatMap((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const calls = text.matchAll(/app\.get\(\s*"?([\w/:.-]+)"?,\s*\{\s*config: \{([^}]*)\}/g);
    const rows = text.matchAll(/method: "GET", url: "?([\w/:.-]+)"?,([^}]*)\}/g);
    return [...calls, ...rows].map(([, path = "", config = ""]) => ({ path: `${file} ${path}`, config }));
  });
  const without = routes.filter(({ config }) => !config.includes("cost:") && !config.includes('"public"'));
  expect(routes.length).toBeGreaterThanOrEqual(20);
  expect(without.map(({ path }) => path).sort()).toEqual([
    "authorities.ts all",
    "observe.ts /v1/identity",
    "resolve.ts /v1/resolve",
    "resource.ts one",
    "tokens.ts all",
  ]);
});
