// What an operator does to hosts: each dialog says what it breaks, and is for those who may.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { parseRevision } from "../../schema/address/index.ts";
import type { TokenInput } from "../../schema/rest/index.ts";
import { call, populate, startController, startSecured } from "../integration/harness.ts";
import { describeBrowser, logIn, tabs } from "../support/browser.ts";
import { enrolWith, startEnrolling } from "../support/enrolled.ts";

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();
const pressInDialog = (page: Page, name: string) =>
  page.getByRole("dialog").getByRole("button", { name, exact: true }).click();

/** As it is printed: token, controller and hash of the CA. */
function partsOf(line: string) {
  const [, token = "", controller = "", caHash = ""] =
    /^NEARMISS_JOIN=(\S+) nearmiss agent --controller (\S+) --ca-hash (\S+)$/.exec(line) ?? [];
  return { token, controller, caHash };
}

describeBrowser("hosts", () => {
  const openPage = tabs();

  test("are registered with a join line, which is copied and enrols; a second one says that the first stays valid", async () => {
    const controller = await startEnrolling();
    const { page, expectNone } = await openPage({
      ignoreHTTPSErrors: true,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.goto(`https://${controller.base}/`);
    await logIn(page, controller.adminToken);
    await page.goto(`https://${controller.base}/#/hosts`);
    await press(page, "Register host");
    await page.getByLabel("Name", { exact: true }).last().fill("c");
    await page.getByLabel("VTEP").fill("192.0.2.3");
    await pressInDialog(page, "Register");
    await page.getByRole("dialog", { name: "Host c is registered" }).waitFor();
    const line = (await page.locator(".command").textContent()) ?? "";
    await pressInDialog(page, "Copy");
    await page.getByText("Copied").waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(line);
    const made = { ...partsOf(line), host: "c", expiresAt: "", enrolled: false };
    expect((await enrolWith(made)).host).toBe("c");
    await pressInDialog(page, "Done");
    await page.getByRole("heading", { name: "c", exact: true }).waitFor();

    await press(page, "Join line");
    await page.getByText("An earlier join line of the host that is unused becomes invalid").waitFor();
    await pressInDialog(page, "Create join line");
    await page.getByText("The host has enrolled before").waitFor();
    expect(partsOf((await page.locator(".command").textContent()) ?? "").token).not.toBe(made.token);
    expectNone();
  });

  test("are revoked after a dialog that says what that breaks; a session ends, and is not opened again", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const agent = controller.agent(identity);
    await agent.hello();
    const { page, expectNone } = await openPage({ ignoreHTTPSErrors: true });
    await page.goto(`https://${controller.base}/`);
    await logIn(page, controller.adminToken);
    await page.goto(`https://${controller.base}/#/hosts/a`);
    await press(page, "Revoke");
    await page.getByText("it gets no more changes").waitFor();
    await pressInDialog(page, "Cancel");
    expect(agent.isOpen).toBe(true);
    await press(page, "Revoke");
    await pressInDialog(page, "Revoke host");
    await page.getByText("Host a is revoked").waitFor();
    await agent.closed;
    expect((await controller.ask({ identity }, "GET", "/v1/hosts/a")).status).toBe(401);
    expectNone();
  });

  test("are marked down and back, and a host that is down is deleted with its VMs only where that is asked for", async () => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/hosts/a`);
    await press(page, "Mark down");
    await page.getByText("moves no longer wait for it").waitFor();
    await pressInDialog(page, "Mark down");
    await page.locator(".facts").getByText("marked down").waitFor();
    expect((await call(controller, 200, "GET", "/v1/hosts/a")).down).toBe(true);
    await press(page, "Mark up");
    await pressInDialog(page, "Remove the mark");
    await page.locator(".facts").getByText("never seen").waitFor();
    await press(page, "Mark down");
    await pressInDialog(page, "Mark down");
    await page.locator(".facts").getByText("marked down").waitFor();
    await press(page, "Delete");
    await pressInDialog(page, "Delete host");
    await page.locator(".form-fault").waitFor();
    await page.getByLabel("Also delete all VMs that are registered on it").check();
    await pressInDialog(page, "Delete host");
    await page.getByText("Host a is deleted").waitFor();
    await call(controller, 404, "GET", "/v1/hosts/a");
    await call(controller, 404, "GET", "/v1/vms/web-1");
    expectNone(/404|409/);
  });

  test("are evacuated by a plan that is shown first, and all VMs of the plan go where it says", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("c").connect();
    agent.send({ type: "applied", revision: parseRevision(1_000), problems: [] });
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/hosts/a`);
    await press(page, "Evacuate");
    await page.getByLabel("To these hosts").fill("nowhere");
    await pressInDialog(page, "Show the plan");
    await page
      .locator('.dialog .field:has([aria-invalid="true"])')
      .getByText(/nowhere/)
      .waitFor();
    await page.getByLabel("To these hosts").fill("c");
    await pressInDialog(page, "Show the plan");
    const plan = page.getByRole("list", { name: "Plan" });
    await plan.getByText("web-1 → c").waitFor();
    expect((await call(controller, 200, "GET", "/v1/vms/web-1")).host).toBe("a");
    await page.getByText("is cut off from its network until it runs on its new host").waitFor();
    await pressInDialog(page, "Move 1 VM");
    await page.getByRole("dialog", { name: "1 VM moved" }).waitFor();
    expect((await call(controller, 200, "GET", "/v1/vms/web-1")).host).toBe("c");
    await pressInDialog(page, "Done");
    await press(page, "Evacuate");
    await page.getByLabel("To these hosts").fill("c");
    await pressInDialog(page, "Show the plan");
    await page.getByText("It has no VMs: there is nothing to move.").waitFor();
    await pressInDialog(page, "Done");
    expectNone(/422/);
  });

  test("have no action for a viewer, and none for an operator of single networks; without TLS a join line says why there is none", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${secured.base}/`);
    const actions = page.getByRole("button", { name: /Join line|Evacuate|Mark|Revoke|Register|Delete|Edit/ });
    for (const input of [{ role: "viewer" }, { role: "operator", networks: ["blue"] }] satisfies TokenInput[]) {
      await logIn(page, (await secured.issue(input)).token);
      await page.goto(`http://${secured.base}/#/hosts/a`);
      await page.getByRole("link", { name: "web-1" }).first().waitFor();
      expect([input.role, await actions.count()]).toEqual([input.role, 0]);
      await press(page, "Log out");
    }
    await logIn(page, (await secured.issue({ role: "operator" })).token);
    await page.goto(`http://${secured.base}/#/hosts/a`);
    await press(page, "Join line");
    await pressInDialog(page, "Create join line");
    await page.getByText(/start the controller with --tls self/).waitFor();
    expectNone(/409|422|404|40\d/);
  });
});

describeBrowser("a form", () => {
  const openPage = tabs();

  test("that is half filled is not thrown away by Escape or the cross, however often; one that is untouched closes", async () => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/networks`);
    const dialog = page.getByRole("dialog");
    await press(page, "Create network");
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });

    await press(page, "Create network");
    await dialog.getByLabel("Subnets").fill("10.99.0.0/16");
    for (let n = 0; n < 3; n++) {
      await page.keyboard.press("Escape");
      await page.getByText("Discard what you have entered?").waitFor();
      await page.keyboard.press("Escape");
      await page.getByText("Discard what you have entered?").waitFor({ state: "detached" });
    }
    await press(page, "Close");
    await page.keyboard.press("Enter");
    expect(await dialog.getByLabel("Subnets").inputValue()).toBe("10.99.0.0/16");
    await page.keyboard.press("Escape");
    await pressInDialog(page, "Discard");
    await dialog.waitFor({ state: "detached" });
    expectNone();
  });
});

describeBrowser("conditions", () => {
  const openPage = tabs();

  test("are listed by name with links, reason and fix, filtered by kind and host, and go when they are over", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    const problem = "the underlay's MTU 1400 does not carry 1450: `ip link set eth0 mtu 1500`";
    a.send({ type: "applied", revision: parseRevision(2), problems: [problem] });
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/`);
    // From the overview to all of the kind.
    await page.locator(".issues .kind", { hasText: "host-away" }).first().click();
    await page.getByRole("heading", { name: "Conditions" }).waitFor();
    await page.getByText("1 condition, the severe ones first").waitFor();
    await page
      .getByRole("row", { name: /host-away/ })
      .getByRole("link", { name: "b", exact: true })
      .waitFor();
    await page.getByLabel("Condition", { exact: true }).selectOption("");
    await page.getByText("2 conditions").waitFor();
    await page.getByLabel("Host").fill("a");
    await page.getByText("1 condition,").waitFor();
    await page.getByRole("table").getByRole("link", { name: "a", exact: true }).click();
    await page.locator(".failure .kind").waitFor();
    await page.goBack();
    a.send({ type: "applied", revision: parseRevision(2), problems: [] });
    await page.getByText("Nothing matches").waitFor();
    const b = await controller.agent("b").connect();
    b.send({ type: "applied", revision: parseRevision(2), problems: [] });
    await press(page, "Clear the search");
    await page.getByText("Nothing is wrong").waitFor();
    expectNone();
  });
});
