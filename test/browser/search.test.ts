import { expect, test } from "vitest";
import { call, populate, startController } from "../integration/harness.ts";
import { describeBrowser, tabs } from "../support/browser.ts";

describeBrowser("a search", () => {
  const openPage = tabs();

  test("keeps every letter of a user who types as slowly as it waits for", async () => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/vms`);
    await page.getByRole("link", { name: "web-2" }).waitFor();
    const name = page.getByLabel("Name, IP or MAC");
    for (const delay of [170, 180, 190]) {
      await name.pressSequentially("web-1", { delay });
      expect(await name.inputValue()).toBe("web-1");
      await page.getByRole("link", { name: "web-2" }).waitFor({ state: "detached" });
      await name.fill("");
      await page.getByRole("link", { name: "web-2" }).waitFor();
    }
    expectNone();
  });

  test("that is incomplete is not sent, says at its field what is missing, and keeps the results shown", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { labels: { tier: "web" } });
    const { page, expectNone } = await openPage();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(decodeURIComponent(request.url().replaceAll("+", " "))));
    const type = async (field: string, text: string, missing: RegExp) => {
      await page.getByLabel(field, { exact: true }).fill(text);
      await page.getByText(missing).waitFor();
    };
    await page.goto(`http://${controller.base}/#/vms`);
    await page.getByRole("link", { name: "web-2" }).waitFor();
    // Letter by letter, slower than the pause that makes a search of it.
    const selector = "tier=web,!old";
    for (let n = 1; n <= selector.length; n++) {
      await page.getByLabel("Labels").fill(selector.slice(0, n));
      await page.waitForURL((url) => new URLSearchParams(url.hash.split("?")[1]).get("label") === selector.slice(0, n));
    }
    await page.getByRole("link", { name: "web-2" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "web-1" }).waitFor();
    await type("Labels", "tier=web,", /A term is empty: write key=value, key!=value, key or !key/);
    await type("Labels", "tier=we b", /"we b" is not a valid label value/);
    await type("Labels", "!", /"!" has no key/);
    // The last result stays.
    await page.getByRole("link", { name: "web-1" }).waitFor();
    await type("Host", "a b", /A name has letters/);
    await page.getByLabel("Labels").fill("");
    await page.getByLabel("Host", { exact: true }).fill("b");
    await page.getByRole("link", { name: "web-2" }).waitFor();
    await page.getByLabel("Host", { exact: true }).fill("");
    await type("Name, IP or MAC", "52-54-00:", /An address is searched for when it is whole/);
    for (const [path, field, text] of [
      ["hosts", "Labels", "rack="],
      ["hosts", "Labels", "rack=r7,"],
      ["networks", "Name", "<b>"],
      ["events", "Network", "x".repeat(64)],
    ] as const) {
      await page.goto(`http://${controller.base}/#/${path}`);
      // The page before had another text in it.
      await expect.poll(() => page.getByLabel(field, { exact: true }).inputValue()).toBe("");
      await page.getByLabel(field, { exact: true }).fill(text);
      const written = () => new URL(page.url()).hash.includes("?");
      await expect.poll(written).toBe(true);
    }
    await page.getByText("A name has letters").waitFor();
    // A page opened this way has nothing to show, and a link to leave it.
    await page.goto(`http://${controller.base}/#/networks?label=%3D`);
    await page.reload();
    await page.getByText("Nothing is searched for yet").waitFor();
    await page.getByRole("button", { name: "Clear the search" }).click();
    await page.getByRole("link", { name: "red", exact: true }).waitFor();
    expect(asked.filter((url) => /label=(.*,|!|=|tier=we b)(&|$)|host=a|52-54|<b>|xxx/.test(url))).toEqual([]);
    expect(asked.some((url) => url.includes("label=tier=web,!old"))).toBe(true);
    expectNone();
  });
});
