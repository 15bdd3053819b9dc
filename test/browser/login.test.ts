import { expect, test } from "vitest";
import { populate, startSecured } from "../integration/harness.ts";
import { describeBrowser, logIn, tabs } from "../support/browser.ts";

describeBrowser("the way in", () => {
  const openPage = tabs();

  test("a wrong token is refused in the API's words, a valid one stays in the tab and out of URLs", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { page, expectNone } = await openPage();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("websocket", (socket) => asked.push(socket.url()));
    await page.goto(`http://${secured.base}/`);
    await page.getByLabel("Token").fill("nm_viewer_nonsense");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("the token is unknown: mistyped, revoked").waitFor();
    const { token } = await secured.issue({ role: "viewer" });
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.locator(".link-live").waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(asked.filter((url) => url.includes("nm_"))).toEqual([]);
    expect(asked.some((url) => url.startsWith("ws://"))).toBe(true);
    expect(await page.evaluate("[localStorage.length, document.cookie]")).toEqual([1, ""]);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
    expectNone(/401/);
  });

  test("a viewer changes nothing, an operator of a network creates in it, a revoked token ends the session", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const viewer = await secured.issue({ role: "viewer" });
    const narrowed = await secured.issue({ role: "operator", networks: ["red"] });
    const { page, expectNone } = await openPage();
    await page.goto(`http://${secured.base}/`);
    await logIn(page, viewer.token);
    await page.getByRole("link", { name: "VMs", exact: true }).first().click();
    await page.getByRole("link", { name: "web-1", exact: true }).click();
    await page.getByRole("heading", { name: "Holders" }).waitFor();
    expect(await page.getByRole("button", { name: /Create|Edit|Move|Delete/ }).count()).toBe(0);
    await page.getByRole("button", { name: "Log out" }).click();

    await logIn(page, narrowed.token);
    await page.getByRole("link", { name: "Networks", exact: true }).first().click();
    await page.getByRole("link", { name: "red", exact: true }).waitFor();
    expect(await page.getByRole("link", { name: "blue", exact: true }).count()).toBe(0);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "VMs" }).click();
    await page.getByText("No VM is registered").waitFor();
    await page.getByRole("button", { name: "Create VM" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).first().fill("red-1");
    await dialog.getByLabel("Host", { exact: true }).fill("c");
    await dialog.getByLabel("Network", { exact: true }).fill("red");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("heading", { name: "red-1" }).waitFor();

    await secured.admin.request("DELETE", `/v1/tokens/${narrowed.id}`);
    await page.getByText("The controller refuses this token now").waitFor();
    // The page of a VM was still open that this operator may not know.
    expectNone(/401|404|WebSocket/);
  });
});
