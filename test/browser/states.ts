// All states of all pages, and how to reach them: for tests that check all of them, and for pictures.
import type { Page } from "playwright-core";
import { type Controller, call } from "../integration/harness.ts";

export interface State {
  readonly name: string;
  /** Behind `#/`. */
  readonly path: string;
  /** Brings it about, and waits until it is whole. */
  readonly arrange: (page: Page, controller: Controller) => Promise<unknown>;
}

const heading = (name: string) => (page: Page) => page.getByRole("heading", { name, exact: true }).waitFor();
const dialogOf = (button: string, then: (page: Page) => Promise<unknown>) => async (page: Page) => {
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("dialog").waitFor();
  await then(page);
};
/** Sends the form unchanged, and waits for the API's message. */
const sent = (button: string) => async (page: Page) => {
  await page.getByRole("dialog").getByRole("button", { name: button, exact: true }).click();
  await page.locator('.dialog [aria-invalid="true"], .form-fault').first().waitFor();
};
const curves = (page: Page) => page.getByRole("img", { name: /Answer latency/ }).waitFor();
/** With the agents' reported durations, which arrive in steps. */
const drawnCurves = (page: Page) =>
  page
    .getByRole("img", { name: /Answer latency/ })
    .and(page.locator(".chart:not(:has(.chart-empty)) *"))
    .waitFor();
const drawn = (page: Page) => page.getByRole("group", { name: /Map of/ }).waitFor();

/** States that look different with many hosts. */
export const sizedStates = (host: string): readonly State[] => [
  { name: "map", path: "map", arrange: drawn },
  {
    name: "map-host",
    path: `map?host=${host}`,
    arrange: (page) => page.getByRole("region", { name: /Host / }).waitFor(),
  },
  { name: "map-network", path: "map?network=red", arrange: drawn },
  {
    name: "map-move",
    path: "map",
    arrange: async (page, controller) => {
      await drawn(page);
      await page.locator(".link-live").waitFor();
      const { host: from } = await call(controller, 200, "GET", "/v1/vms/db-000002");
      const { hosts } = await call(controller, 200, "GET", "/v1/hosts?limit=1000");
      const away = hosts.findIndex(({ name }: { name: string }) => name === from);
      const to = hosts[(away + Math.floor(hosts.length * 0.45)) % hosts.length];
      await call(controller, 200, "PATCH", "/v1/vms/db-000002", { host: to.name });
      await page.locator('.flight[data-vm="db-000002"]').waitFor();
    },
  },
  { name: "hosts", path: "hosts", arrange: (page) => page.getByRole("link", { name: host, exact: true }).waitFor() },
  { name: "overview", path: "", arrange: drawnCurves },
  {
    name: "overview-24h",
    path: "?range=24h",
    arrange: (page) => page.getByRole("img", { name: /Answer latency, last 24 hours/ }).waitFor(),
  },
];

export const fleetStates = (host: string): readonly State[] => [
  { name: "vms", path: "vms", arrange: (page) => page.getByRole("link", { name: "web-000001" }).waitFor() },
  {
    name: "vms-by-ip",
    path: "vms",
    arrange: async (page) => {
      await page.getByLabel("Name, IP or MAC").fill("10.16.0.5");
      await page.getByRole("link", { name: "web-000005" }).waitFor();
      await page.getByRole("link", { name: "web-000001" }).waitFor({ state: "detached" });
    },
  },
  {
    name: "vms-label-half-typed",
    path: "vms",
    arrange: async (page) => {
      // Not among the results of the previous search.
      await page.getByRole("link", { name: "cache-000003" }).waitFor();
      await page.getByLabel("Labels").fill("tier=web");
      await page.getByRole("link", { name: "cache-000003" }).waitFor({ state: "detached" });
      await page.getByLabel("Labels").fill("tier=web,");
      await page.getByText("a term is empty").waitFor();
    },
  },
  {
    name: "vms-sorted",
    path: "vms?sort=-host",
    arrange: (page) => page.getByText("VMs", { exact: true }).first().waitFor(),
  },
  {
    name: "vms-with-conditions",
    path: "vms?condition=any",
    arrange: (page) =>
      page
        .getByText(/Nothing matches|match/)
        .first()
        .waitFor(),
  },
  { name: "vms-none", path: "vms?name=nowhere", arrange: (page) => page.getByText("Nothing matches").waitFor() },
  { name: "vm", path: "vms/web-000001", arrange: (page) => page.getByText(/of \d+ hold revision/).waitFor() },
  {
    name: "vm-history-open",
    path: "vms/web-000001",
    arrange: async (page) => {
      await page.locator(".event summary").first().click();
      await page.getByRole("columnheader", { name: "Before" }).first().waitFor();
    },
  },
  { name: "vm-unknown", path: "vms/missing", arrange: (page) => page.getByText('no VM is named "missing"').waitFor() },
  {
    name: "vm-create",
    path: "vms",
    arrange: dialogOf("Create VM", (page) => page.getByLabel("Labels").nth(1).waitFor()),
  },
  { name: "vm-create-refused", path: "vms", arrange: dialogOf("Create VM", sent("Create")) },
  { name: "vm-edit", path: "vms/web-000001", arrange: dialogOf("Edit", (page) => page.getByLabel("Labels").waitFor()) },
  {
    name: "vm-move",
    path: "vms/web-000001",
    arrange: dialogOf("Move", (page) => page.getByLabel("New host").waitFor()),
  },
  {
    name: "vm-move-unknown-host",
    path: "vms/web-000001",
    arrange: dialogOf("Move", async (page) => {
      await page.getByLabel("New host").fill("nowhere");
      await sent("Move")(page);
    }),
  },
  {
    name: "vm-moved",
    path: "vms/cache-000003",
    arrange: dialogOf("Move", async (page) => {
      await page.getByLabel("New host").fill("c");
      await page.getByRole("dialog").getByRole("button", { name: "Move" }).click();
      await page.getByText(/^[1-9]\d* of \d+ hosts have confirmed/).waitFor();
    }),
  },
  { name: "vm-delete", path: "vms/web-000001", arrange: dialogOf("Delete", heading("Delete VM web-000001?")) },
  { name: "host", path: `hosts/${host}`, arrange: heading("History") },
  {
    name: "host-unknown",
    path: "hosts/missing",
    arrange: (page) => page.getByText('no host is named "missing"').waitFor(),
  },
  { name: "networks", path: "networks", arrange: (page) => page.getByRole("link", { name: "blue" }).waitFor() },
  {
    name: "network",
    path: "networks/red",
    arrange: (page) => page.getByRole("link", { name: /web-/ }).first().waitFor(),
  },
  {
    name: "network-create",
    path: "networks",
    arrange: dialogOf("Create network", (page) => page.getByLabel("Subnets").waitFor()),
  },
  { name: "network-create-refused", path: "networks", arrange: dialogOf("Create network", sent("Create")) },
  {
    name: "network-edit",
    path: "networks/red",
    arrange: dialogOf("Edit", (page) => page.getByLabel("Subnets").waitFor()),
  },
  {
    name: "network-delete-refused",
    path: "networks/red",
    arrange: dialogOf("Delete", sent("Delete network")),
  },
  { name: "events", path: "events", arrange: (page) => page.locator(".event").first().waitFor() },
  {
    name: "events-paused",
    path: "events?kind=vm",
    arrange: async (page, controller) => {
      await page.locator(".event").first().waitFor();
      await page.locator(".link-live").waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      const description = `paused at ${Date.now()}`;
      await call(controller, 200, "PATCH", "/v1/vms/web-000005", { description });
      await page.getByText("Paused: 1 new").waitFor();
    },
  },
  { name: "events-past", path: "events?at=2", arrange: (page) => page.getByText("As it was at revision 2").waitFor() },
  {
    name: "events-on-hosts",
    path: "events?kind=operational",
    arrange: (page) => page.getByText("Unregistered guest").first().waitFor(),
  },
  {
    name: "conditions",
    path: "conditions",
    arrange: (page) => page.getByRole("row", { name: /host-away/ }).waitFor(),
  },
  {
    name: "conditions-none",
    path: "conditions?host=nowhere",
    arrange: (page) => page.getByText("Nothing matches").waitFor(),
  },
  { name: "help", path: "help", arrange: heading("Help") },
  {
    name: "events-group-open",
    path: "events",
    arrange: async (page) => {
      await page.getByText("All of them").first().click();
      await page.locator(".event-group .event").first().waitFor();
    },
  },
  { name: "no-such-page", path: "nowhere", arrange: heading("No such page") },
];

/** What is done to a host. */
export const hostStates = (host: string): readonly State[] => [
  {
    name: "host-create",
    path: "hosts",
    arrange: dialogOf("Register host", (page) => page.getByLabel("VTEP").waitFor()),
  },
  { name: "host-edit", path: `hosts/${host}`, arrange: dialogOf("Edit", (page) => page.getByLabel("VTEP").waitFor()) },
  { name: "host-create-refused", path: "hosts", arrange: dialogOf("Register host", sent("Register")) },
  { name: "host-delete-refused", path: `hosts/${host}`, arrange: dialogOf("Delete", sent("Delete host")) },
  {
    name: "host-join-line",
    path: `hosts/${host}`,
    arrange: dialogOf("Join line", (page) => page.locator(".command").waitFor()),
  },
  {
    name: "host-evacuate",
    path: `hosts/${host}`,
    arrange: dialogOf("Evacuate", (page) => page.getByLabel("To these hosts").waitFor()),
  },
  {
    name: "host-evacuate-plan",
    path: `hosts/${host}`,
    arrange: dialogOf("Evacuate", async (page) => {
      await page.getByLabel("To these hosts").fill("b c");
      await page.getByRole("button", { name: "Show the plan" }).click();
      await page.getByRole("list", { name: "Plan" }).waitFor();
    }),
  },
  { name: "host-down", path: `hosts/${host}`, arrange: dialogOf("Mark down", heading(`Mark host ${host} as down?`)) },
  { name: "host-revoke", path: `hosts/${host}`, arrange: dialogOf("Revoke", heading(`Revoke host ${host}?`)) },
  {
    name: "host-edit-discard",
    path: `hosts/${host}`,
    arrange: dialogOf("Edit", async (page) => {
      await page.getByLabel("Description").fill("half");
      await page.keyboard.press("Escape");
      await page.getByText("Discard what you have entered?").waitFor();
    }),
  },
];

/** Names as long as they may be, text that means something to a browser, and text from right to left. */
export const oddStates = (longest: string): readonly State[] => [
  { name: "odd-vms", path: "vms", arrange: (page) => page.getByRole("link", { name: longest }).first().waitFor() },
  { name: "odd-vm", path: `vms/${longest}`, arrange: (page) => page.getByText(/of \d+ hold revision/).waitFor() },
  {
    name: "odd-vm-nested",
    path: `vms/${"v".repeat(63)}`,
    arrange: (page) => page.getByRole("link", { name: /\/n+$/ }).waitFor(),
  },
  {
    name: "odd-vm-nested-edit",
    path: `vms/${"v".repeat(63)}`,
    arrange: dialogOf("Edit", (page) => page.getByLabel("Nested in").waitFor()),
  },
  { name: "odd-vm-unattached", path: "vms/unattached", arrange: (page) => page.getByText("Belongs to").waitFor() },
  { name: "odd-host", path: `hosts/${longest}`, arrange: heading("History") },
  { name: "odd-hosts", path: "hosts", arrange: (page) => page.getByRole("link", { name: longest }).waitFor() },
  { name: "odd-networks", path: "networks", arrange: (page) => page.getByRole("link", { name: longest }).waitFor() },
  { name: "odd-network", path: `networks/${longest}`, arrange: heading("History") },
  {
    name: "odd-map",
    path: `map?host=${longest}`,
    arrange: (page) => page.getByRole("region", { name: /Host / }).waitFor(),
  },
  { name: "odd-events", path: "events", arrange: (page) => page.locator(".event").first().waitFor() },
  { name: "odd-overview", path: "", arrange: curves },
  {
    name: "odd-vm-delete",
    path: `vms/${longest}`,
    arrange: dialogOf("Delete", (page) => page.getByRole("dialog").waitFor()),
  },
];

/** A controller with an empty inventory. */
export const emptyStates: readonly State[] = [
  { name: "empty-conditions", path: "conditions", arrange: (page) => page.getByText("Nothing is wrong").waitFor() },
  { name: "empty-overview", path: "", arrange: curves },
  { name: "empty-map", path: "map", arrange: (page) => page.getByText("No host is registered").waitFor() },
  { name: "empty-vms", path: "vms", arrange: (page) => page.getByText("No VM is registered").waitFor() },
  { name: "empty-hosts", path: "hosts", arrange: (page) => page.getByText("No host is registered").waitFor() },
  { name: "empty-networks", path: "networks", arrange: (page) => page.getByText("There is no network").waitFor() },
  { name: "empty-events", path: "events", arrange: (page) => page.getByText("Nothing has changed yet").waitFor() },
  {
    name: "empty-events-on-hosts",
    path: "events?kind=operational",
    arrange: (page) => page.getByText("Nothing has happened lately").waitFor(),
  },
];

/** Hosts, a network and VMs with conditions of every kind. */
export const conditionStates: readonly State[] = [
  {
    name: "conditions-all",
    path: "conditions",
    arrange: (page) =>
      page
        .getByRole("row", { name: /tunnel-filter/ })
        .first()
        .waitFor(),
  },
  {
    name: "conditions-of-a-kind",
    path: "conditions?kind=wrong-port",
    arrange: (page) => page.getByText(/^\d conditions?,/).waitFor(),
  },
  {
    name: "conditions-unknown",
    path: "conditions?host=b",
    arrange: (page) => page.getByText("not known while the host is disconnected").first().waitFor(),
  },
  { name: "conditions-overview", path: "", arrange: (page) => page.locator(".issues .kind").first().waitFor() },
  { name: "conditions-hosts", path: "hosts", arrange: (page) => page.locator("td .kind").first().waitFor() },
  { name: "conditions-vms", path: "vms", arrange: (page) => page.locator("td .kind").first().waitFor() },
  { name: "conditions-networks", path: "networks", arrange: (page) => page.locator("td .kind").first().waitFor() },
  { name: "conditions-host", path: "hosts/a", arrange: (page) => page.locator(".failure .kind").first().waitFor() },
  { name: "conditions-vm", path: "vms/web-1", arrange: (page) => page.locator(".failure .kind").first().waitFor() },
  {
    name: "conditions-network",
    path: "networks/blue",
    arrange: (page) => page.locator(".failure .kind").first().waitFor(),
  },
  {
    name: "conditions-events",
    path: "events?kind=operational",
    arrange: (page) => page.locator(".event").first().waitFor(),
  },
  {
    name: "conditions-vm-sharing",
    path: "vms/lb-1",
    arrange: (page) =>
      page
        .getByRole("cell", { name: /10\.20\.1\.100/ })
        .first()
        .waitFor(),
  },
];

/** 100 hosts with 100 VMs each, every twentieth of them disconnected. */
export const manyVmsStates: readonly State[] = [
  { name: "vms", path: "vms", arrange: (page) => page.getByText("10,000 VMs", { exact: true }).waitFor() },
  {
    name: "vms-second-page",
    path: "vms",
    arrange: async (page) => {
      await page.getByText("10,000 VMs", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText("page 2").waitFor();
    },
  },
  {
    name: "vms-with-a-condition",
    path: "vms?condition=guest-never-seen&sort=-conditions",
    arrange: (page) => page.getByText("1 VM matches").waitFor(),
  },
  {
    name: "hosts-disconnected",
    path: "hosts?state=disconnected&sort=-vms",
    arrange: (page) => page.getByText("5 hosts match").waitFor(),
  },
  { name: "host", path: "hosts/node-001", arrange: (page) => page.getByText("100 VMs").first().waitFor() },
  {
    name: "network",
    path: "networks/blue",
    arrange: (page) =>
      page
        .getByText(/3,33\d VMs/)
        .first()
        .waitFor(),
  },
  { name: "overview", path: "", arrange: (page) => page.locator(".issues .kind").first().waitFor() },
];

/** Of a token for network blue. */
export const narrowedStates: readonly State[] = [
  { name: "narrowed-overview", path: "", arrange: (page) => page.getByText("Rates are not available").waitFor() },
  { name: "narrowed-conditions", path: "conditions", arrange: heading("Conditions") },
  { name: "narrowed-map", path: "map", arrange: drawn },
  { name: "narrowed-vms", path: "vms", arrange: (page) => page.getByRole("link", { name: "web-1" }).waitFor() },
  { name: "narrowed-vm", path: "vms/web-1", arrange: (page) => page.getByText(/of \d+ hold revision/).waitFor() },
  {
    name: "narrowed-vm-create",
    path: "vms",
    arrange: dialogOf("Create VM", (page) => page.getByLabel("Labels").nth(1).waitFor()),
  },
  {
    name: "narrowed-hosts",
    path: "hosts",
    arrange: (page) => page.getByRole("link", { name: "a", exact: true }).first().waitFor(),
  },
  { name: "narrowed-host", path: "hosts/a", arrange: heading("History") },
  {
    name: "narrowed-networks",
    path: "networks",
    arrange: (page) => page.getByRole("link", { name: "blue" }).waitFor(),
  },
  {
    name: "narrowed-network",
    path: "networks/blue",
    arrange: (page) => page.getByRole("link", { name: "web-1" }).first().waitFor(),
  },
  { name: "narrowed-events", path: "events", arrange: (page) => page.locator(".event").first().waitFor() },
  { name: "narrowed-other-vm", path: "vms/web-2", arrange: heading("web-2") },
];

/** Each page, with what its data come from. */
export const dataOf: Readonly<Record<string, RegExp>> = {
  "": /\/v1\/overview/,
  conditions: /\/v1\/conditions/,
  map: /\/v1\/topology/,
  vms: /\/v1\/vms/,
  "vms/web-1": /\/v1\/vms\/web-1$/,
  hosts: /\/v1\/hosts/,
  "hosts/a": /\/v1\/hosts\/a$/,
  networks: /\/v1\/networks/,
  "networks/blue": /\/v1\/networks\/blue$/,
  events: /\/v1\/log/,
};
