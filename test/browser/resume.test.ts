// A dashboard that was disconnected: after the reconnect it shows each change of that time once and in order.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { describeBrowser, logIn, tabs, wayIsCut } from "../support/browser.ts";
import { ControllerProcess, interfaceOf, temporaryDirectory } from "../support/controller-process.ts";
import { severableWay } from "../support/severable.ts";

/** The rows of the events page. */
interface Listed {
  readonly revision: number;
  readonly vm: string;
  readonly summary: string;
}

describeBrowser("while the dashboard is cut off", () => {
  const openPage = tabs();

  test("200 changes across a SIGKILL of the controller: events and tables have each once and in order", async () => {
    const db = `${temporaryDirectory()}/nearmiss.db`;
    const first = await ControllerProcess.start(db);
    const { port } = new URL(first.url);
    await first.furnish();
    for (let n = 1; n <= 20; n++) await put(first, n, "a");
    const way = await severableWay(Number(port));
    const { page: events, expectNone } = await openPage();
    const { page: vms, expectNone: vmsExpectNone } = await openPage();
    const { page: one, expectNone: oneExpectsNone } = await openPage();
    for (const [page, path] of [
      [events, "events?kind=vm"],
      [vms, "vms"],
      [one, "vms/vm-0002"],
    ] as const) {
      await page.goto(`http://${way.address}/#/${path}`);
      await logIn(page, first.token);
      await page.locator(".link-live").waitFor();
      await page.evaluate("globalThis.sameDocument = true");
      // The page's own next attempt is hours away: it reconnects when the test says so, and not earlier.
      await page.evaluate("Math.random = () => 1e5");
    }
    await expect.poll(() => listed(events)).toHaveLength(20);

    way.cut();
    for (const page of [events, vms, one]) await page.getByText("The controller does not answer.").waitFor();
    const made: Listed[] = [];
    await change(first, made, 100);
    await first.process.stop("SIGKILL");
    const second = await ControllerProcess.start(db, Number(port));
    await change(second, made, 200);
    expect(made).toHaveLength(200);
    // The page has received none of them.
    expect(await listed(events)).toHaveLength(20);
    way.restore();

    for (const page of [events, vms, one]) {
      await page.getByRole("button", { name: "Try now" }).click();
      await page.getByText("The controller does not answer.").waitFor({ state: "hidden" });
    }
    const newest = Number(made.at(-1)?.revision);
    await events.locator(`.event-revision >> text="${newest}"`).waitFor();
    expect(await listed(events)).toEqual(made.toReversed());
    await events.getByText("Live: 200 shown").waitFor();

    const registered = (
      await second.call<{ vms: { name: string; host: string; revision: number }[] }>("GET", "/v1/vms")
    ).vms;
    const expected = registered.slice(0, 50).map(({ name, host, revision }) => `${name} ${host} ${revision}`);
    await expect.poll(() => rows(vms)).toEqual(expected);
    const ofOne = made.filter(({ vm }) => vm === "vm-0002").toReversed();
    expect(ofOne.length).toBeGreaterThan(3);
    await expect.poll(async () => (await listed(one)).slice(0, ofOne.length)).toEqual(ofOne);

    // And continues from there.
    await change(second, made, 201);
    await expect.poll(async () => (await listed(events))[0]).toEqual(made.at(-1));
    for (const page of [events, vms, one]) expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    for (const none of [expectNone, vmsExpectNone, oneExpectsNone]) none(wayIsCut);
  });
});

const nameOf = (n: number) => `vm-${String(n).padStart(4, "0")}`;

async function put(controller: ControllerProcess, n: number, host: string): Promise<number> {
  const body = { host, interfaces: [interfaceOf(n)] };
  const { revision } = await controller.call<{ revision: number }>("PUT", `/v1/vms/${nameOf(n)}`, body);
  return revision;
}

/** VMs are created, moved, and described, one change after the other, until `made` has so many. */
async function change(controller: ControllerProcess, made: Listed[], upTo: number): Promise<void> {
  while (made.length < upTo) {
    const i = made.length;
    const known = 1 + (i % 20);
    if (i % 4 === 0) {
      const n = 100 + i;
      const revision = await put(controller, n, "b");
      made.push({ revision, vm: nameOf(n), summary: "on b" });
      continue;
    }
    const [from, to] = Math.floor(i / 20) % 2 === 0 ? ["a", "b"] : ["b", "a"];
    const { revision } = await controller.call<{ revision: number }>("POST", `/v1/vms/${nameOf(known)}/move`, {
      host: to,
    });
    made.push({ revision, vm: nameOf(known), summary: `host: ${from} → ${to}` });
  }
}

/** Newest first. */
function listed(page: Page): Promise<Listed[]> {
  return page.locator(".event:not(.event-group)").evaluateAll((events) =>
    events.map((event) => {
      const text = (selector: string) => event.querySelector(selector)?.textContent?.trim() ?? "";
      return { revision: Number(text(".event-revision")), vm: text(".event-text a"), summary: text(".event-summary") };
    }),
  );
}

function rows(page: Page): Promise<string[]> {
  return page.locator("tbody tr").evaluateAll((all) =>
    all.map((row) => {
      const cells = [...row.children].map((cell) => cell.textContent?.trim() ?? "");
      return [cells[0], cells[1], cells.at(-1)].join(" ");
    }),
  );
}
