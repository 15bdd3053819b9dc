// Every page, in both colours, with few hosts and with many: nothing on the console, nothing beyond the edge, and what
// axe-core finds of WCAG 2.2 A and AA. With NEARMISS_SCREENSHOTS=<directory> it leaves a picture of each.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseIp, parseVni, type Question } from "../../schema/index.ts";
import { call, startController } from "../integration/harness.ts";
import { describeBrowser, openPage, startBrowser } from "../support/browser.ts";
import { type FleetShape, startFleet } from "../support/fleet.ts";

const pictures = process.env.NEARMISS_SCREENSHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Visit {
  readonly name: string;
  readonly path: string;
  /** What is there when the page is whole. */
  readonly ready: (page: Page) => Promise<unknown>;
}

const heading = (name: string) => (page: Page) => page.getByRole("heading", { name, exact: true }).waitFor();
const visits: readonly Visit[] = [
  { name: "overview", path: "", ready: (page) => page.getByRole("img", { name: /Answer latency/ }).waitFor() },
  { name: "map", path: "map", ready: (page) => page.getByRole("group", { name: /Map of/ }).waitFor() },
  { name: "map-host", path: "map?host={host}", ready: (page) => page.getByRole("region", { name: /Host / }).waitFor() },
  { name: "vms", path: "vms?name=web", ready: (page) => page.getByRole("link", { name: "web-000001" }).waitFor() },
  { name: "vm", path: "vms/web-000001", ready: (page) => page.getByText(/of \d+ hold revision/).waitFor() },
  {
    name: "vm-form",
    path: "vms",
    ready: async (page) => {
      await page.getByRole("button", { name: "Create VM" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
      await page
        .getByText(/must match pattern|1 … 63/)
        .first()
        .waitFor();
    },
  },
  {
    name: "vm-move",
    path: "vms/web-000001",
    ready: async (page) => {
      await page.getByRole("button", { name: "Move" }).click();
      await page.getByLabel("New host").waitFor();
    },
  },
  { name: "hosts", path: "hosts", ready: (page) => page.getByRole("link", { name: "{host}", exact: true }).waitFor() },
  { name: "host", path: "hosts/{host}", ready: heading("History") },
  { name: "networks", path: "networks", ready: (page) => page.getByRole("link", { name: "blue" }).waitFor() },
  {
    name: "network",
    path: "networks/red",
    ready: (page) => page.getByRole("link", { name: /web-/ }).first().waitFor(),
  },
  { name: "events", path: "events", ready: (page) => page.getByRole("button", { name: "Pause" }).waitFor() },
  { name: "events-past", path: "events?at=2", ready: (page) => page.getByText("As it was at revision 2").waitFor() },
];

/** The rest shows a page of fifty, or one thing. */
const changesWithSize = new Set(["overview", "map", "map-host", "hosts"]);

const few: FleetShape = { hosts: 5, vmsPerHost: 6, asked: 9, awayEvery: 5 };
const many: FleetShape = { hosts: 500, vmsPerHost: 8, asked: 12, awayEvery: 83 };

describeBrowser("every page", { timeout: 180_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
    if (pictures) mkdirSync(pictures, { recursive: true });
  });
  afterAll(() => browser?.close());

  test.each([
    ["few", few],
    ["many", many],
  ] as const)("is readable, reachable and silent with %s hosts", async (size, shape) => {
    // Simulated agents have nothing to say in between.
    const controller = await startController({ heartbeatMs: 600_000 });
    const agents = await startFleet(controller, shape);
    const host = [...agents.keys()].sort()[0] ?? "";
    await call(controller, 200, "PATCH", "/v1/vms/web-000001", { description: "Front of the shop" });
    // What has been asked in the last minutes is on the curves.
    const questions = [1, 2, 3, 99].map(
      (n): Question => ({ kind: "ip", vni: parseVni(200), ip: parseIp(`10.16.0.${n}`) }),
    );
    for (const agent of [...agents.values()].slice(0, 5)) agent.send({ type: "resolve", id: 1, questions });
    const faults: string[] = [];
    for (const colorScheme of size === "many" && !pictures ? (["light"] as const) : (["light", "dark"] as const)) {
      const { page, expectNone } = await openPage(browser, { colorScheme, reducedMotion: "reduce" });
      await page.goto(`http://${controller.base}/`);
      await page.evaluate(axe);
      for (const visit of size === "many" && !pictures
        ? visits.filter(({ name }) => changesWithSize.has(name))
        : visits) {
        const place = `${size}-${visit.name}-${colorScheme}`;
        await page.goto(`http://${controller.base}/#/${visit.path.replace("{host}", host)}`);
        if (visit.name === "hosts") await page.getByRole("link", { name: host, exact: true }).waitFor();
        else await visit.ready(page);
        const beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        if (Number(beyond) > 0) faults.push(`${place}: ${beyond} px beyond the edge`);
        faults.push(...(await violations(page)).map((violation) => `${place}: ${violation}`));
        if (pictures)
          await page.screenshot({ path: join(pictures, `${place}.png`), fullPage: !visit.name.includes("-") });
        if (await page.getByRole("dialog").isVisible()) await page.keyboard.press("Escape");
      }
      expectNone(/400 \(Bad Request\)/);
      await page.context().close();
    }
    expect(faults).toEqual([]);
  });
});

async function violations(page: Page): Promise<string[]> {
  const run = `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] })
    .then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 160) + " " + failureSummary).slice(0, 2).join(" | ")))`;
  return page.evaluate(run);
}
