// What a phone and a small window show: nothing of what a wide screen has is lost.
import { expect, test } from "vitest";
import { populate, startController, startSecured, vm } from "../integration/harness.ts";
import { mac, vni } from "../support/addresses.ts";
import { describeBrowser, logIn, tabs, wayIsCut } from "../support/browser.ts";
import { startFleet } from "../support/fleet.ts";

const phone = { width: 390, height: 844 };

describeBrowser("on a small screen", () => {
  const openPage = tabs();

  test("of a phone role and networks of the token are readable, also without a connection; colours are chosen at the foot", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { page, expectNone } = await openPage({ viewport: phone, reducedMotion: "reduce" });
    await page.goto(`http://${secured.base}/`);
    await logIn(page, (await secured.issue({ role: "operator", networks: ["blue", "red"] })).token);
    await page.locator(".link-live").waitFor();
    const isWhole = () =>
      page.evaluate(`(() => {
        const text = document.querySelector(".caller p");
        const inside = text.getBoundingClientRect();
        const marks = [...text.children].flatMap((each) => [...each.getClientRects()]);
        return text.textContent === "operator · blue, red" && marks.every(({ right, bottom }) => right <= inside.right + 1 && bottom <= inside.bottom + 1);
      })()`);
    expect(await isWhole()).toBe(true);
    await page.locator(".about .theme label", { hasText: "Dark" }).click();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
    await secured.stop();
    await page.getByText("The controller does not answer.").waitFor();
    expect(await isWhole()).toBe(true);
    expectNone(new RegExp(`503|${wayIsCut.source}`));
  });

  test("of a phone the map names the peers of a host with their numbers", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    const remote = mac(vm("b", 2).interfaces[0]?.mac ?? "");
    agent.send({ type: "resolve", id: 1, questions: [{ kind: "mac", vni: vni(100), mac: remote }] });
    await agent.frame("answers");
    const { page, expectNone } = await openPage({ viewport: phone, reducedMotion: "reduce" });
    await page.goto(`http://${controller.base}/#/map?host=a`);
    const row = page.getByRole("region", { name: "Host a" }).getByRole("row", { name: "b 1 0" });
    await row.waitFor();
    for (const cell of await row.locator("th, td").all()) {
      const box = await cell.boundingBox();
      expect(box?.width).toBeGreaterThan(5);
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(phone.width);
    }
    expectNone();
  });

  test.each([1_024, 900, 720])("%i pixels wide, lists have all their columns in sight", async (width) => {
    const controller = await startController({ heartbeatMs: 600_000 });
    await startFleet(controller, { hosts: 5, vmsPerHost: 6, asked: 3, awayEvery: 5 });
    const { page, expectNone } = await openPage({ viewport: { width, height: 768 }, reducedMotion: "reduce" });
    const hidden: string[] = [];
    for (const list of ["vms", "hosts", "networks"]) {
      await page.goto(`http://${controller.base}/#/${list}`);
      await page.getByRole("table").locator("tbody tr").first().waitFor();
      const beyond = await page.evaluate(
        '(() => { const { scrollWidth, clientWidth } = document.querySelector(".table-block > .scroll"); return scrollWidth - clientWidth; })()',
      );
      if (Number(beyond) > 0) hidden.push(`${list}: ${beyond} px`);
    }
    // The most important ones come first: on a narrower screen the last ones are scrolled to.
    expect(width >= 1_000 ? hidden : []).toEqual([]);
    const headings = await page.getByRole("columnheader").allTextContents();
    expect(headings.slice(4, 7)).toEqual(["Knowledge", "Broadcast", "Conditions"]);
    expectNone();
  });
});

describeBrowser("data that were refused once", () => {
  const openPage = tabs();

  test.each([
    ["networks/blue", /\/v1\/networks\/blue$/, "10.20.1.0/24"],
    ["events", /\/v1\/log/, "web-1"],
  ])("are asked for again on the page %s, which says nothing else of them before", async (path, data, found) => {
    const controller = await startController();
    await populate(controller);
    const { page, expectNone } = await openPage();
    const problem = { type: "urn:nearmiss:problem:busy", title: "Busy", status: 503, detail: "too much is asked" };
    await page.route(data, (route) =>
      route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) }),
    );
    await page.goto(`http://${controller.base}/#/${path}`);
    await page.getByText("Too much is asked").first().waitFor();
    expect(await page.getByText("Nothing has changed yet").count()).toBe(0);
    await page.unroute(data);
    await page.locator("main").getByText(found).first().waitFor();
    await page.getByText("Too much is asked").waitFor({ state: "detached" });
    expectNone(/503/);
  });
});

describeBrowser("an address that is frozen", () => {
  const openPage = tabs();

  test("is let move again on the VM's page", async () => {
    const controller = await startController();
    await populate(controller);
    const shared = "10.20.1.100";
    const protocol = { min: 1, max: 2 };
    const agents = [
      await controller.agent("a").connect([], { protocol }),
      await controller.agent("b").connect([], { protocol }),
    ];
    for (const n of [1, 2]) {
      const eth0 = { port: `tap${n}`, allowedAddresses: [{ ip: shared }] };
      await controller.request("PATCH", `/v1/vms/web-${n}`, { interfaces: { eth0 } });
    }
    for (const [id, n] of [1, 2, 1, 2, 1, 2, 1].entries()) {
      const frame = { type: "claim", id, vni: 100, mac: `52:54:00:00:00:0${n}`, ip: shared, port: `tap${n}`, agoMs: 0 };
      agents[n - 1]?.send(frame as never);
      await agents[n - 1]?.frame("claimed", (answer) => answer.id === id);
    }
    const { page, expectNone } = await openPage();
    await page.goto(`http://${controller.base}/#/vms/web-2`);
    await page.locator(".failure .kind", { hasText: "address-frozen" }).waitFor();
    await page.getByRole("button", { name: "Let 10.20.1.100 move again" }).click();
    await page.getByText("10.20.1.100 may move again").waitFor();
    await page.locator(".failure .kind").waitFor({ state: "detached" });
    expectNone();
  });
});
