// The charts of the overview, with questions of hours ago: the clock of the rates is moved.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { type BindingKey, parseIp, parseVni } from "../../schema/address/index.ts";
import { populate, startController } from "../integration/harness.ts";
import { describeBrowser, tabs } from "../support/browser.ts";

const hourMs = 3_600_000;
const vni = parseVni(100);
const known: BindingKey = { kind: "ip", vni, ip: parseIp("10.20.1.2") };
const unknown: BindingKey = { kind: "ip", vni, ip: parseIp("10.20.1.99") };

describeBrowser("the charts of the overview", () => {
  const openPage = tabs();

  test("go back as far as the user chooses, on the keyboard too, and show a gap before the start of the controller", async () => {
    let behindMs = 20 * hourMs;
    const controller = await startController({ ratesNowMs: () => performance.now() - behindMs });
    await populate(controller);
    const agent = await controller.agent("a").connect();
    /** 300 questions, in frames that are answered in one turn each. */
    const ask = async (id: number, key: BindingKey) => {
      for (let each = id; each < id + 10; each += 1) {
        agent.send({ type: "resolve", id: each, questions: Array.from({ length: 30 }, () => key) });
        await agent.frame("answers", (frame) => frame.id === each);
      }
    };
    await ask(1, unknown);
    behindMs = hourMs;
    await ask(11, known);
    behindMs = 0;
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/`);
    const empty = page.locator(".chart-empty").first();
    const chart = (span: string) => page.getByRole("img", { name: `Misses asked per second, last ${span}` });

    await chart("15 minutes").waitFor();
    await empty.getByText("Nothing was asked in 15 minutes").waitFor();
    expect(await page.getByText("No figures before").count()).toBe(0);

    // The chosen one of a group of radio buttons has the focus; arrow keys choose.
    await page.getByRole("group", { name: "Time range of the charts" }).getByLabel("15 minutes").focus();
    await page.keyboard.press("ArrowRight");
    await chart("2 hours").waitFor();
    expect(new URL(page.url()).hash).toBe("#/?range=2h");
    expect(await page.locator(".chart-empty").count()).toBe(0);
    // 300 in a step of 30 s, an hour ago.
    await expect.poll(() => shownAt(page, "Answered", 0.47, 0.51)).toContain("10.0");
    await expect.poll(() => shownAt(page, "Answered", 0.02, 0.1)).toEqual(["0"]);
    expect(await page.getByText("No figures before").count()).toBe(0);

    await page.keyboard.press("ArrowRight");
    await chart("24 hours").waitFor();
    expect(new URL(page.url()).hash).toBe("#/?range=24h");
    await page.getByText(/^No figures before .*, when the controller started$/).waitFor();
    // 300 in a step of 5 min, 20 hours ago. Before that there is nothing, which is not 0.
    await expect.poll(() => shownAt(page, "Nothing registered", 0.15, 0.18)).toContain("1.0");
    await expect.poll(() => shownAt(page, "Answered", 0.94, 0.97)).toContain("1.0");
    await expect.poll(() => shownAt(page, "Nothing registered", 0.02, 0.1)).toEqual(["–"]);

    // The choice is in the URL.
    await page.reload();
    await chart("24 hours").waitFor();
    expect(await page.getByRole("radio", { name: "24 hours" }).isChecked()).toBe(true);
    // 15 minutes are the page without a choice, and what is shown for one that does not exist.
    await page.getByText("15 minutes", { exact: true }).click();
    await chart("15 minutes").waitFor();
    expect(new URL(page.url()).hash).toBe("#/");
    await page.goto(`http://${controller.base}/#/?range=9d`);
    await chart("15 minutes").waitFor();
    expect(await page.getByRole("radio", { name: "15 minutes" }).isChecked()).toBe(true);
    expectNone();
  });
});

/** What the first chart shows of a curve while the pointer moves over it. @param from and to: parts of its width */
async function shownAt(page: Page, curve: string, from: number, to: number): Promise<string[]> {
  const chart = page.locator(".chart").first();
  const box = await chart.locator(".u-over").boundingBox();
  if (!box) throw new Error("the chart is not drawn");
  const value = chart.locator(".chart-legend li", { hasText: curve }).locator("strong");
  const shown = new Set<string>();
  for (let x = box.x + box.width * from; x <= box.x + box.width * to; x += 1) {
    await page.mouse.move(x, box.y + box.height / 2);
    shown.add(String(await value.textContent()));
  }
  return [...shown];
}
