// Lists as an operator narrows and orders them.
import { expect, test } from "vitest";
import { call, populate, startController, vm } from "../integration/harness.ts";
import { describeBrowser, tabs } from "../support/browser.ts";
import { exampleOf } from "../support/conditions.ts";

describeBrowser("lists", () => {
  const openPage = tabs();

  test("of hosts show VMs, conditions, time and version, and are sorted and filtered by them; a reload keeps that", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("b", 3));
    await controller.agent("c").connect();
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/hosts`);
    const order = () => page.locator("tbody tr td:first-child").allTextContents();
    await page.getByText("3 hosts", { exact: true }).waitFor();
    await page.getByRole("button", { name: "VMs" }).click();
    await expect.poll(order).toEqual(["b", "a", "c"]);
    expect(await page.getByRole("columnheader", { name: "VMs" }).getAttribute("aria-sort")).toBe("descending");
    await page.getByRole("button", { name: "VMs" }).click();
    await expect.poll(order).toEqual(["c", "a", "b"]);
    await page.reload();
    await expect.poll(order).toEqual(["c", "a", "b"]);
    const row = page.getByRole("row", { name: /^c / });
    await row.getByText("connected").waitFor();
    await row.getByText("test", { exact: true }).waitFor();
    await page.getByLabel("Agent", { exact: true }).selectOption("disconnected");
    await page.getByText("2 hosts match").waitFor();
    await expect.poll(order).toEqual(["a", "b"]);
    await page.getByLabel("Conditions", { exact: true }).selectOption("host-away");
    await page.getByText("2 hosts match").waitFor();
    expectNone();
  });

  test("of VMs have a total, and show those with a condition, which is named and leads to all of its kind", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([], { protocol: { min: 1, max: 2 } });
    const whole = { type: "conditions", whole: true, watchedMs: 0, undecided: [], remove: [], end: true } as const;
    a.send({ ...whole, add: [{ ...exampleOf("guest-never-seen", 100), agoMs: 0 }] });
    await a.heard();
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/vms`);
    await page.getByText("creating or deleting a VM here makes, starts and stops none").waitFor();
    await page.getByText("2 VMs", { exact: true }).waitFor();
    await page.getByLabel("Conditions", { exact: true }).selectOption("any");
    await page.getByText("1 VM matches").waitFor();
    await page.getByRole("link", { name: "web-2" }).waitFor({ state: "detached" });
    await page.getByRole("row", { name: /web-1/ }).getByRole("link", { name: "guest-never-seen" }).click();
    await page.getByRole("heading", { name: "Conditions" }).waitFor();
    await page.getByText("1 condition,").waitFor();
    expectNone();
  });
});
