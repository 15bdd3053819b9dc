// By keyboard alone, and in the colours that one chooses.
import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";
import { populate, startController, vm } from "../integration/harness.ts";
import { describeBrowser, tabs } from "../support/browser.ts";

/** Accessible name of the focused element. */
const focused = (page: Page) =>
  page.evaluate(
    "(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.querySelector('title')?.textContent ?? document.activeElement?.textContent ?? '').trim()",
  );
/** The properties that Chromium exposes to screen readers in addition to the name of an element. */
async function describedAs(page: Page, name: string): Promise<string> {
  const client = await page.context().newCDPSession(page);
  const { root } = await client.send("DOM.getDocument");
  const query = { nodeId: root.nodeId, accessibleName: name };
  const { nodes } = await client.send("Accessibility.queryAXTree", query);
  const described = nodes.flatMap(({ ignored, description }) => (ignored || !description ? [] : [description.value]));
  await client.detach();
  return String(described[0]);
}

const isSeen = async (what: Locator): Promise<boolean> => ((await what.boundingBox())?.width ?? 0) > 100;

/** Whether one can see where the focus is. */
const isMarked = (page: Page) =>
  page.evaluate(`(() => {
    const element = document.activeElement;
    const shown = [element, element?.querySelector(".card"), element?.closest("label")].filter(Boolean).map((each) => getComputedStyle(each));
    return element !== document.body && shown.some(({ outlineStyle, strokeWidth }) => outlineStyle !== "none" || Number.parseFloat(strokeWidth) >= 3);
  })()`);

describeBrowser("without a mouse", () => {
  const openPage = tabs();

  test("the map is navigated with arrow keys, a host selected with Enter and deselected with Escape, and described in words", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    const { vms } = (await controller.request("GET", "/v1/vms")).body;
    expect(vms).toHaveLength(2);
    agent.send({
      type: "resolve",
      id: 1,
      questions: [{ kind: "mac", vni: 100, mac: vm("b", 2).interfaces[0]?.mac } as never],
    });
    await agent.frame("answers");
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/map`);
    await page.getByRole("group", { name: "Map of 3 hosts and 1 tunnel", exact: true }).waitFor();
    const help = page.getByText(
      "Arrow keys move between hosts, Enter selects a host and its tunnels, Escape clears the selection.",
    );
    // As a screen reader says it.
    expect(await describedAs(page, "Map of 3 hosts and 1 tunnel")).toContain(await help.textContent());
    expect(await isSeen(help)).toBe(false);
    await page.getByLabel("Find host").focus();
    await page.keyboard.press("Tab");
    expect(await isSeen(help)).toBe(true);
    expect(await focused(page)).toBe("a, 1 VM, 1 tunnel");
    expect(await isMarked(page)).toBe(true);
    await page.keyboard.press("ArrowRight");
    expect(await focused(page)).toBe("b, 1 VM, 1 tunnel, agent disconnected");
    await page.keyboard.press("End");
    expect(await focused(page)).toBe("c, 0 VMs, 0 tunnels, agent disconnected");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "a, 1 VM, 1 tunnel", pressed: true }).waitFor();
    const side = page.getByRole("region", { name: "Host a" });
    await side.getByText("connected · 1 VM · 1 tunnel").waitFor();
    await side.getByRole("row", { name: "b 1 0" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("region", { name: "All hosts" }).waitFor();
    // Users with a pointer need no help with keys.
    await page.getByRole("button", { name: /^b, / }).click();
    await page.getByRole("region", { name: "Host b" }).waitFor();
    expect(await isSeen(help)).toBe(false);
    expectNone();
  });

  test("a dialog starts at its first field, and describes each field with its hint and fault", async () => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/networks`);
    await page.getByRole("button", { name: "Create network" }).press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("blue");
    expect(await page.getByLabel("Name", { exact: true }).last().inputValue()).toBe("blue");
    await page.keyboard.press("Enter");
    await page.locator('.dialog [aria-invalid="true"]').first().waitFor();
    expect(await describedAs(page, "VNI")).toBe("Is required 1 … 16777215");
    expect(await focused(page)).toBe("VNI");
    expectNone(/400/);
  });

  test("from the first Tab to a deleted VM: every focus stop is visible, a dialog traps the focus and returns it", async () => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/vms/web-1`);
    await page.getByRole("heading", { name: "History" }).waitFor();
    await page.getByText("0 of 1 hold revision").waitFor();
    const stops: unknown[] = [];
    const tabTo = async (name: string) => {
      for (let n = 0; n < 60; n++) {
        await page.keyboard.press("Tab");
        stops.push(await focused(page));
        expect(await isMarked(page), `the focus on ${stops.at(-1)}`).toBe(true);
        if (stops.at(-1) === name) return;
      }
      throw new Error(`no Tab leads to ${name}, only to ${stops.join(", ")}`);
    };
    await tabTo("Skip to content");
    await page.keyboard.press("Enter");
    await tabTo("Delete");
    expect(stops).toEqual(["Skip to content", "VMs", "Move", "Edit", "Delete"]);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Delete VM web-1?" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused(page)).toBe("Delete");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo("Delete VM");
    await page.keyboard.press("Enter");
    await page.getByText("VM web-1 is deleted").waitFor();
    await page.getByRole("heading", { name: "VMs" }).waitFor();
    await expect.poll(() => focused(page)).toBe("VMs");
    expectNone(/404/);
  });

  test("colours follow the system until the user chooses, and then stay", async () => {
    const controller = await startController();
    const { page, expectNone } = await openPage({ colorScheme: "dark" });
    const theme = () => page.evaluate("document.documentElement.dataset.theme");
    await page.goto(`http://${controller.base}/`);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(await theme()).toBe("dark");
    await page.emulateMedia({ colorScheme: "light" });
    await expect.poll(theme).toBe("light");
    await page.getByRole("radio", { name: "As the system has it" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await page.getByRole("radio", { name: "Dark" }).isChecked()).toBe(true);
    expect(await theme()).toBe("dark");
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const dark = await background();
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect([await theme(), await background()]).toEqual(["dark", dark]);
    await page.locator(".theme label", { hasText: "Light" }).click();
    await expect.poll(background).not.toBe(dark);
    expectNone();
  });
});
