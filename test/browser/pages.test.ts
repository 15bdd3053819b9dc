// Every page in every state, light and dark, wide and narrow, with few hosts and with many: nothing on the console, nothing
// beyond the edge, and nothing that axe-core objects to. `npm run screenshots` leaves a picture of each.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { parseIp, parseRevision, parseVni } from "../../schema/address/index.ts";
import { conditionKinds, type HostConditionKind, type Question } from "../../schema/agent/index.ts";
import { type Controller, call, populate, startController, startSecured, vm } from "../integration/harness.ts";
import { describeBrowser, logIn, tabs, wayIsCut } from "../support/browser.ts";
import { exampleOf } from "../support/conditions.ts";
import { type FleetShape, startFleet } from "../support/fleet.ts";
import { look } from "./look.ts";
import {
  conditionStates,
  dataOf,
  emptyStates,
  fleetStates,
  hostStates,
  manyVmsStates,
  narrowedStates,
  oddStates,
  type State,
  sizedStates,
} from "./states.ts";

const problem = "the underlay's MTU 1400 does not carry 1450: `ip link set eth0 mtu 1500`";
const few: FleetShape = { hosts: 5, vmsPerHost: 6, asked: 9, awayEvery: 5, slow: ["d"], problems: { a: [problem] } };
const many: FleetShape = { hosts: 500, vmsPerHost: 8, asked: 12, awayEvery: 83, problems: { "node-001": [problem] } };
const longest = "w".repeat(63);

describeBrowser("every page is readable, reachable and silent", () => {
  const openPage = tabs();

  test("with five hosts", async () => {
    const controller = await startWithFleet(few);
    await lookAtAll(controller, "few", fleetStates("a"));
  });

  test("with five hosts, what an operator does to one, and what looks different with many", async () => {
    const controller = await startWithFleet(few);
    await lookAtAll(controller, "few", [...hostStates("a"), ...sizedStates("a")]);
  });

  test("with 500 hosts", async () => {
    const controller = await startWithFleet(many);
    await lookAtAll(controller, "many", sizedStates("node-001"));
  });

  test("with names of maximal length, HTML, and text from right to left", async () => {
    const controller = await startController();
    await populate(controller);
    const labels = { ["k".repeat(63)]: "v".repeat(63), "example.com/team": "red" };
    const description = `${'<img src=x onerror="globalThis.broken=1"><b>bold</b>'} שרת האינטרנט הראשי (web)`;
    const notes = { description, labels };
    await call(controller, 201, "PUT", `/v1/networks/${longest}`, { vni: 9, subnets: ["fd00:99::/64"], ...notes });
    await call(controller, 201, "PUT", `/v1/hosts/${longest}`, { vtep: "192.0.2.99", ...notes });
    const interfaces = [
      { network: longest, name: "n".repeat(63), mac: "52:54:00:00:00:99", ips: ["fd00:99::1"], port: "tap0" },
    ];
    await call(controller, 201, "PUT", `/v1/vms/${longest}`, { host: longest, interfaces, ...notes });
    const nested = [{ network: longest, ips: [], parent: `${longest}/${"n".repeat(63)}` }];
    await call(controller, 201, "PUT", `/v1/vms/${"v".repeat(63)}`, { host: longest, interfaces: nested });
    const owners = { interfaces: [], ownerNetworks: [longest, "blue", "red"] };
    await call(controller, 201, "PUT", "/v1/vms/unattached", { host: longest, ...owners });
    const page = await lookAtAll(controller, "few", oddStates(longest));
    expect(await page.evaluate("globalThis.broken")).toBeUndefined();
  });

  test("with an empty inventory", async () => {
    await lookAtAll(await startController(), "few", emptyStates);
  });

  test("with a condition of each kind", async () => {
    const controller = await startController({ heartbeatMs: 600_000 });
    await populate(controller);
    const allowedAddresses = [{ ip: "10.20.1.100" }, { ip: "10.20.1.101" }];
    const shared = { ...vm("a", 9).interfaces[0], port: "tap9", allowedAddresses };
    await call(controller, 201, "PUT", "/v1/vms/lb-1", { host: "a", interfaces: [shared] });
    await call(controller, 200, "PATCH", "/v1/networks/blue", { knowledge: "auto", broadcast: "replicate" });
    const [a, b] = [await withConditions(controller, "a"), await withConditions(controller, "b", "52:54:00:00:00:02")];
    expect(a.isOpen && b.isOpen).toBe(true);
    await b.close();
    await lookAtAll(controller, "all", conditionStates);
  });

  test("with 10,000 VMs", async () => {
    const controller = await startController({ heartbeatMs: 600_000 });
    const agents = await startFleet(controller, { hosts: 100, vmsPerHost: 100, asked: 12, awayEvery: 20 });
    expect(agents.size).toBe(95);
    // The fleet's agents speak the first version of the protocol, which has no conditions.
    const first = controller.agent("node-001");
    await first.connect([], { protocol: { min: 1, max: 2 } });
    const silent = exampleOf("guest-never-seen", 200, { mac: "52:54:00:00:00:01" });
    first.send({ ...wholeSet, add: [{ ...silent, agoMs: 0 }] });
    await first.heard();
    await lookAtAll(controller, "10000", manyVmsStates);
  });

  test("while its data load, and where they cannot be had", async () => {
    const controller = await startController();
    await populate(controller);
    const faults: string[] = [];
    const { page, expectNone } = await openPage({ reducedMotion: "reduce" });
    await page.goto(`http://${controller.base}/#/help`);
    for (const [path, data] of Object.entries(dataOf)) {
      const name = path.replace("/", "-") || "overview";
      await page.goto(`http://${controller.base}/#/help`);
      await page.getByRole("heading", { name: "Help" }).waitFor();
      await page.route(data, () => {});
      await page.goto(`http://${controller.base}/#/${path}`);
      await page.locator(".loading").first().waitFor();
      faults.push(...(await look(page, `loading-${name}`)));
      await page.unroute(data);

      await page.goto(`http://${controller.base}/#/help`);
      await page.getByRole("heading", { name: "Help" }).waitFor();
      const problem = {
        type: "urn:nearmiss:problem:busy",
        title: "Busy",
        status: 503,
        detail: "too much is asked: try again in 5 s",
      };
      await page.route(data, (route) =>
        route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) }),
      );
      await page.goto(`http://${controller.base}/#/${path}`);
      await page.getByRole("alert").getByText("Too much is asked: try again in 5 s").first().waitFor();
      faults.push(...(await look(page, `failed-${name}`)));
      await page.unroute(data);
    }
    expect(faults).toEqual([]);
    expectNone(/503/);
  });

  test("for a token of one network", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const interfaces = [{ network: "red", mac: "52:54:00:00:00:02" }];
    await call(secured.admin, 200, "PUT", "/v1/vms/web-2", { host: "b", interfaces });
    const { page, expectNone } = await openPage({ reducedMotion: "reduce" });
    await page.goto(`http://${secured.base}/`);
    await logIn(page, (await secured.issue({ role: "operator", networks: ["blue"], note: "shop" })).token);
    await page.locator(".link-live").waitFor();
    expect(await lookAt(page, secured.admin, "token", narrowedStates)).toEqual([]);
    expectNone(/404/);
  });

  test("at login, for a viewer, for a token of one network, and while the controller is lost", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { page, expectNone } = await openPage({ reducedMotion: "reduce" });
    const faults: string[] = [];
    await page.goto(`http://${secured.base}/`);
    await page.getByLabel("Token").waitFor();
    faults.push(...(await look(page, "login")));
    await page.getByLabel("Token").fill("nm_viewer_nonsense");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("the token is unknown: mistyped, revoked").waitFor();
    faults.push(...(await look(page, "login-refused")));
    await logIn(page, (await secured.issue({ role: "viewer", note: "the shift" })).token);
    await page.getByRole("link", { name: "VMs", exact: true }).first().click();
    await page.getByRole("link", { name: "web-1" }).click();
    await page.getByText(/of \d+ hold revision/).waitFor();
    faults.push(...(await look(page, "viewer-vm")));
    await page.getByRole("button", { name: "Log out" }).click();
    await logIn(page, (await secured.issue({ role: "operator", networks: ["red"] })).token);
    await page.goto(`http://${secured.base}/#/`);
    await page.getByText("Rates are not available for single networks").waitFor();
    faults.push(...(await look(page, "narrowed-overview")));
    await page.locator(".link-live").waitFor();
    await secured.stop();
    await page.getByText("The controller does not answer.").waitFor();
    faults.push(...(await look(page, "lost")));
    expect(faults).toEqual([]);
    // The page of a VM that is hidden from the second token was open. And a controller that is stopping says so in its
    // answers.
    expectNone(new RegExp(`401|404|503|${wayIsCut.source}`));
  });

  async function lookAtAll(controller: Controller, size: string, states: readonly State[]): Promise<Page> {
    const { page, expectNone } = await openPage({ reducedMotion: "reduce" });
    await page.goto(`http://${controller.base}/`);
    expect(await lookAt(page, controller, size, states)).toEqual([]);
    // The refusals of the forms, and searches for absent resources.
    expectNone(/400 \(Bad Request\)|404 \(Not Found\)|409 \(Conflict\)|422/);
    return page;
  }
});

const wholeSet = { type: "conditions", whole: true, watchedMs: 0, undecided: [], remove: [], end: true } as const;

/** An agent of the host with an example of each kind. @param mac of its VM */
async function withConditions(controller: Controller, host: string, mac = "52:54:00:00:00:01") {
  const agent = await controller.agent(host).connect([], { protocol: { min: 1, max: 2 } });
  const kinds = Object.keys(conditionKinds) as HostConditionKind[];
  agent.send({ ...wholeSet, add: kinds.map((kind) => ({ ...exampleOf(kind, 100, { mac }), agoMs: 90_000 })) });
  await agent.heard();
  return agent;
}

async function lookAt(page: Page, controller: Controller, size: string, states: readonly State[]): Promise<string[]> {
  const faults: string[] = [];
  for (const { name, path, arrange } of states) {
    await page.goto(`http://${controller.base}/#/${path}`);
    await arrange(page, controller);
    faults.push(...(await look(page, `${size}-${name}`)));
    await leaveDialog(page);
  }
  return faults;
}

async function leaveDialog(page: Page): Promise<void> {
  const dialog = page.getByRole("dialog");
  if (!(await dialog.isVisible())) return;
  const buttons = dialog.getByRole("button", { name: /^(Cancel|Done|Discard)$/ });
  await buttons.first().click();
  await dialog.waitFor({ state: "detached" });
}

/** Simulated agents, which have asked, reported durations, and have operational reports. */
async function startWithFleet(shape: FleetShape): Promise<Controller> {
  const controller = await startController({ heartbeatMs: 600_000 });
  const agents = await startFleet(controller, shape);
  const [first, second] = [...agents.values()];
  await call(controller, 200, "PATCH", "/v1/vms/web-000001", { description: "Front of the shop" });
  const questions = [1, 2, 3, 99].map(
    (n): Question => ({ kind: "ip", vni: parseVni(200), ip: parseIp(`10.16.0.${n}`) }),
  );
  for (const agent of [...agents.values()].slice(0, 5)) agent.send({ type: "resolve", id: 1, questions });
  const misses = { count: 40, sumMs: 61, maxMs: 3.4 };
  first?.send({ type: "applied", revision: parseRevision(2), problems: [problem], misses });
  const vni = parseVni(200);
  const ago = { firstAgoMs: 90_000, lastAgoMs: 20_000 };
  second?.send({
    type: "report",
    reports: [
      {
        kind: "unregistered-guest",
        vni,
        subject: "52:54:00:00:ff:01",
        detail: "it sends on port vnet7",
        count: 4,
        ...ago,
      },
      {
        kind: "theft",
        vni,
        subject: "52:54:00:00:00:05",
        detail: "restored from the port with ifindex 9",
        count: 1,
        ...ago,
      },
      { kind: "drift-repaired", subject: "timer", detail: "put neighbour 200 10.16.0.9", count: 12, ...ago },
    ],
  });
  second?.send({ type: "resolve", id: 2, questions: [] });
  await second?.frame("answers", ({ id }) => id === 2);
  return controller;
}
