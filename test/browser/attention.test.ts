import { test } from "vitest";
import { parseVni } from "../../schema/address/index.ts";
import type { ReportedFinding } from "../../schema/agent/index.ts";
import { fleet, follow } from "../integration/fleet.ts";
import { call, populate, startController, vm } from "../integration/harness.ts";
import { describeBrowser, tabs } from "../support/browser.ts";

const vni = parseVni(100);
const justNow = { firstAgoMs: 0, lastAgoMs: 0 };

describeBrowser("what needs attention", () => {
  const openPage = tabs();

  test("appears at once, and is resolved when the inventory says so, also for a page opened afterwards", async () => {
    const controller = await startController();
    await populate(controller);
    const [a, b] = await Promise.all(["a", "b"].map((host) => controller.agent(host).connect()));
    if (!a || !b) throw new Error("two agents");
    for (const agent of [a, b]) agent.send({ type: "applied", revision: 7 as never, problems: [] });
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/`);
    await page.getByText("Nothing needs attention").waitFor();
    const reports: ReportedFinding[] = [
      {
        kind: "unregistered-guest",
        vni,
        subject: "52:54:00:00:00:07",
        detail: "it sends on port vnet7",
        count: 1,
        ...justNow,
      },
      {
        kind: "guest-never-seen",
        vni,
        subject: "52:54:00:00:00:01",
        detail: "it has sent no traffic since it was registered",
        count: 1,
        ...justNow,
      },
      {
        kind: "address-conflict",
        vni,
        subject: "10.20.1.2",
        detail:
          "52:54:00:00:00:66 on this host uses 10.20.1.2, which is registered for 52:54:00:00:00:02, a VM of another host",
        count: 1,
        ...justNow,
      },
      { kind: "drift-repaired", vni, subject: "entry", detail: "put neighbour 100 10.20.1.2", count: 2, ...justNow },
    ];
    a.send({ type: "report", reports });
    const open = page.locator(".issues");
    const ended = page.getByRole("region", { name: "Resolved" });
    const titles = {
      unregistered: "an unregistered guest sends traffic",
      unseen: "a registered guest has sent no traffic",
      conflict: "a guest uses another VM's address",
      drift: "another program changed kernel entries",
    };
    for (const title of [titles.unregistered, titles.unseen, titles.conflict]) await open.getByText(title).waitFor();
    await page.getByText("3 issues").waitFor();
    await ended.getByText(titles.drift).waitFor();

    await call(controller, 201, "PUT", "/v1/vms/late", vm("a", 7));
    await ended.getByText(titles.unregistered).waitFor();
    await page.getByText("2 issues").waitFor();
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
    await ended.getByText(titles.unseen).waitFor();
    await call(controller, 204, "DELETE", "/v1/vms/web-2");
    await ended.getByText(titles.conflict).waitFor();
    await page.getByText("all reported issues are resolved").waitFor();

    const { page: later, expectNone: laterExpectsNone } = await openPage();
    await later.goto(`http://${controller.base}/`);
    await later.getByText("all reported issues are resolved").waitFor();
    // An issue that recurs needs attention again.
    await call(controller, 204, "DELETE", "/v1/vms/late");
    for (const each of [page, later]) await each.locator(".issues").getByText(titles.unregistered).waitFor();
    expectNone();
    laterExpectsNone();
  });

  test("a move that was not confirmed is resolved when all hosts have confirmed", async () => {
    const { controller, a, b, c } = await fleet();
    for (const agent of [a, b]) follow(agent);
    // It has an entry for the VM, and no client waits for it.
    await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true });
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/`);
    const { revision } = await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
    await page.locator(".issues").getByText("a move has not been confirmed by all hosts").waitFor();
    c.send({ type: "applied", revision, problems: [] });
    await page
      .getByRole("region", { name: "Resolved" })
      .getByText("a move has not been confirmed by all hosts")
      .waitFor();
    expectNone();
  });
});
