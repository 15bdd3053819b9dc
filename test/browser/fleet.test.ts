import { beforeAll, expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { describeBrowserLab, tabs, wayIsCut } from "../support/browser.ts";
import { cluster } from "../support/cluster.ts";

describeBrowserLab("three hosts and their guests", () => {
  const self = cluster({ hosts: 3, underlay: 4 });
  const openPage = tabs(() => self.lab.controllerNamespace.namespace);
  beforeAll(async () => {
    await self.network("blue", 100);
  });

  test("the map shows a tunnel when guests communicate, and a move while it happens; history and holders show it too", async () => {
    const web = await self.vm("web", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24"]);
    await self.vm("db", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"]);
    const { page, expectNone } = await openPage();
    await page.goto(`${self.lab.controllerUrl}/`);
    await page.getByText("Every host with VMs is connected").waitFor();
    await page.getByRole("link", { name: "Map" }).click();
    await page.getByRole("group", { name: "Map of 3 hosts and 0 tunnels" }).waitFor();

    expect((await web.ping("10.20.1.2", { count: 2 })).received).toBe(2);
    await page.getByRole("group", { name: "Map of 3 hosts and 1 tunnel", exact: true }).waitFor();
    await page.getByRole("button", { name: "a, 1 VM, 1 tunnel" }).click();
    await page.getByRole("region", { name: "Host a" }).getByRole("button", { name: "b" }).waitFor();

    const drawnAsOf = page
      .getByRole("complementary", { name: "On the map" })
      .getByText("Tunnels as of")
      .locator("time");
    const first = Date.parse((await drawnAsOf.getAttribute("datetime")) ?? "");
    expect(Date.now() - first).toBeGreaterThanOrEqual(0);
    await waitFor(async () => Date.parse((await drawnAsOf.getAttribute("datetime")) ?? "") > first, {
      what: "the map to say as of when its newer tunnels are",
    });

    // Another tab moves the VM, and this one sees it.
    const { page: other, expectNone: otherExpectsNone } = await openPage();
    await other.goto(`${self.lab.controllerUrl}/#/vms/db`);
    await other.getByText("2 of 2 hold revision").waitFor();
    await other.getByRole("button", { name: "Move" }).click();
    await other.getByLabel("New host").fill("c");
    await other.getByRole("dialog").getByRole("button", { name: "Move" }).click();
    await page.locator('.flight[data-vm="db"]').waitFor();
    await page.getByRole("region", { name: "Moves" }).getByRole("link", { name: "db" }).waitFor();
    await page.getByRole("button", { name: "c, 1 VM, 1 tunnel" }).waitFor();
    await other.getByRole("dialog", { name: "VM db is on c now" }).getByRole("button", { name: "Done" }).click();
    await other.getByText("host: b → c").waitFor();
    // The page shows the holders as the kernels have them. Before the move, a was current, too.
    const { revision } = await self.call<{ revision: number }>("GET", "/v1/vms/db");
    await other.getByText(`hold revision ${revision}`).waitFor();
    await other.getByRole("row", { name: /^a current/ }).waitFor();
    const { fdb } = await self.entries("a", 100);
    expect(fdb.join("\n")).toContain(`52:54:00:00:00:02 dst ${self.lab.host("c").address}`);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("listitem").filter({ hasText: "VM updated" }).getByRole("link", { name: "db" }).waitFor();
    await page.getByRole("img", { name: /Misses asked per second/ }).waitFor();
    expectNone();
    otherExpectsNone();
  });

  test("a lost controller is reported at once, and after its return every event is shown, once, without a reload", async () => {
    const { page, expectNone } = await openPage();
    await page.goto(`${self.lab.controllerUrl}/#/events`);
    await page.locator(".link-live").waitFor();
    await page.evaluate("globalThis.sameDocument = true");
    await self.call("PUT", "/v1/networks/before", { vni: 901, subnets: ["10.91.0.0/24"] });
    await page.getByRole("link", { name: "before", exact: true }).waitFor();
    await self.lab.controller.stop("SIGKILL");
    await page.getByText("The controller does not answer.").waitFor();
    await page.locator(".link-lost").waitFor();

    await self.lab.startController();
    const missed = ["missed-1", "missed-2", "missed-3"];
    const subnets = ["10.92.0.0/24"];
    await self.call("PUT", "/v1/networks/missed-1", { vni: 910, subnets });
    // Four of a kind in a row would be shown as one.
    await self.call("PUT", "/v1/hosts/missed-2", { vtep: "192.0.2.250" });
    await self.call("PUT", "/v1/networks/missed-3", { vni: 911, subnets });
    await page.getByText("The controller does not answer.").waitFor({ state: "hidden" });
    await page.getByRole("link", { name: "missed-3", exact: true }).waitFor();
    for (const name of ["before", ...missed]) {
      expect(await page.getByRole("link", { name, exact: true }).count()).toBe(1);
    }
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    expectNone(wayIsCut);
    for (const host of self.lab.hosts) {
      await waitFor(
        async () => (await self.lab.api<{ connected?: boolean }>("GET", `/v1/hosts/${host.name}`)).body.connected,
        { what: `host ${host.name} to come back` },
      );
    }
  });
});
