import { beforeAll, expect, test } from "vitest";
import { ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { describeBrowserLab, logIn, tabs } from "../support/browser.ts";
import { cluster } from "../support/cluster.ts";

const [mac1, mac2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

describeBrowserLab("a controller with --tls self", () => {
  const self = cluster({ hosts: 2, underlay: 4, secured: true });
  const openPage = tabs(() => self.lab.controllerNamespace.namespace);
  let guest: Guest;
  beforeAll(async () => {
    await self.network("blue", 100);
    await self.network("red", 200);
    guest = await self.vm("web", "a", "blue", 100, mac1, ["10.20.1.1/24"]);
    await self.vm("db", "b", "blue", 100, mac2, ["10.20.1.2/24"]);
    await self.vm("other", "b", "red", 200, "52:54:00:00:00:03", ["10.20.1.3/24"]);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
  });

  // This browser does not know the CA, like an operator's before it is installed.
  const open = async (role: "admin" | "operator" | "viewer", networks?: readonly string[]) => {
    const { token } = await self.call<{ token: string }>("POST", "/v1/tokens", {
      role,
      ...(networks ? { networks } : {}),
    });
    const watched = await openPage({ ignoreHTTPSErrors: true });
    await watched.page.goto(`${self.lab.controllerUrl}/`);
    await logIn(watched.page, token);
    await watched.page.locator(".link-live").waitFor();
    return watched;
  };

  test("repairs of an agent and theft by a guest appear at once, for the users concerned", async () => {
    const { page, expectNone } = await open("viewer");
    expect(page.url()).toMatch(/^https:/);
    await page.getByText("Nothing needs attention").waitFor();
    const { page: narrowed, expectNone: narrowedExpectsNone } = await open("operator", ["red"]);
    const { page: events, expectNone: eventsExpectNone } = await open("viewer");
    await events.getByRole("link", { name: "Events", exact: true }).click();
    await events.getByLabel("Kind").selectOption("operational");
    await events.getByText("Host connected").first().waitFor();

    await self.lab.host("a").exec(["ip", "neigh", "del", "10.20.1.2", "dev", "nmv100"]);
    await page.getByText("another program changed kernel entries").waitFor();
    const socket = await openPacketSocket(guest, "eth0");
    socket.inject(ethernet({ to: mac1, from: mac2, type: 0x88b5, payload: Buffer.alloc(46) }));
    await page.getByText("a guest sent with the MAC of a VM elsewhere").waitFor();
    socket.close();
    // Another page, which hears of it in its own time.
    await events.getByText(`${mac2} · restored`).waitFor();
    for (const words of ["Drift repaired", "Theft"]) {
      expect(await events.getByRole("listitem").filter({ hasText: words }).count()).toBe(1);
    }

    // Kept for pages that are opened later, or reloaded.
    const { page: later, expectNone: laterExpectsNone } = await open("viewer");
    await later.getByText("a guest sent with the MAC of a VM elsewhere").waitFor();
    await later.getByRole("link", { name: "what happened on them" }).waitFor({ state: "detached" });
    // Another network: events of its guests are not for this token, live or stored.
    await narrowed.goto(`${self.lab.controllerUrl}/#/events?kind=operational`);
    await narrowed.getByText("Nothing has happened lately").waitFor();
    for (const none of [expectNone, eventsExpectNone, laterExpectsNone, narrowedExpectsNone]) none();
  });

  test("a viewer is offered no changes; an operator of one network works in it and sees no other", async () => {
    const { page: viewer, expectNone: viewerExpectsNone } = await open("viewer");
    const url = self.lab.controllerUrl;
    for (const [path, whole] of [
      ["vms", "web"],
      ["vms/web", "Interfaces"],
      ["hosts", "b"],
      ["hosts/a", "History"],
      ["networks", "blue"],
      ["networks/blue", "History"],
    ] as const) {
      await viewer.goto(`${url}/#/${path}`);
      await viewer.locator("main").getByText(whole, { exact: true }).first().waitFor();
      const actions = viewer.getByRole("button", { name: /Create|Register|Edit|Move|Delete/ });
      expect([path, await actions.count()]).toEqual([path, 0]);
    }
    viewerExpectsNone();

    const { page, expectNone } = await open("operator", ["red"]);
    await page.getByText("Rates are not available for single networks").waitFor();
    await page.getByRole("link", { name: "Hosts" }).first().click();
    await page.getByRole("link", { name: "b", exact: true }).waitFor();
    expect(await page.getByRole("link", { name: "a", exact: true }).count()).toBe(0);
    expect(await page.getByRole("button", { name: "Register host" }).count()).toBe(0);
    await page.goto(`${url}/#/vms?name=10.20.1.2`);
    await page.getByText("Nothing matches").waitFor();
    await page.goto(`${url}/#/vms?name=10.20.1.3`);
    await page.getByRole("link", { name: "other", exact: true }).waitFor();
    await page.getByRole("button", { name: "Create VM" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).first().fill("mine");
    await dialog.getByLabel("Host", { exact: true }).fill("b");
    await dialog.getByLabel("Network", { exact: true }).fill("blue");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await dialog.locator('.field:has([aria-invalid="true"])', { hasText: "Network" }).getByText(/blue/).waitFor();
    await dialog.getByLabel("Network", { exact: true }).fill("red");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("heading", { name: "mine" }).waitFor();
    // For a token of all networks it is there at once.
    await viewer.goto(`${url}/#/vms/mine`);
    await viewer.getByRole("heading", { name: "Interfaces" }).waitFor();
    expectNone(/403|409|422/);
  });
});
