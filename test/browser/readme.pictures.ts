// The pictures of README.md and docs/dashboard.md: five hosts in a lab, whose guests communicate for some minutes
// before the pictures are taken. `npm run screenshots:readme` renews them; not a test, and not part of `npm test`.
import { join } from "node:path";
import { expect, test } from "vitest";
import { ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { describeBrowserLab, tabs } from "../support/browser.ts";
import { cluster } from "../support/cluster.ts";

const minutes = Number(process.env.NEARMISS_README_PICTURES);
const images = join(import.meta.dirname, "../../docs/images");
const sizes = { overview: { width: 1_280, height: 970 }, map: { width: 1_280, height: 680 } } as const;
const roles = ["web", "db", "cache"] as const;

describeBrowserLab("pictures with traffic", { timeout: (minutes + 3) * 60_000 }, () => {
  // Unused entries are evicted after a while, so that there are misses as long as guests communicate.
  const self = cluster({ hosts: 5, underlay: 4, agentArgs: ["--idle-timeout", "10s"] });
  const openPage = tabs(() => self.lab.controllerNamespace.namespace);

  test("overview and map, light and dark", async () => {
    await self.network("blue", 100, { description: "Shop front", labels: { env: "prod" } });
    const guests: Guest[] = [];
    for (const [h, { name: host }] of self.lab.hosts.entries()) {
      for (const [r, role] of roles.entries()) {
        const n = 1 + h * roles.length + r;
        const mac = `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`;
        guests.push(await self.vm(`${role}-${h + 1}`, host, "blue", 100, mac, [`10.20.1.${n}/24`]));
      }
    }
    await talk(guests, performance.now() + minutes * 60_000);

    const { page, expectNone } = await openPage({ deviceScaleFactor: 1.5 });
    const picture = async (name: keyof typeof sizes) => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(images, `${name}-${colorScheme}.png`) });
      }
    };
    const stop = new AbortController();
    const talking = talk(guests, Number.POSITIVE_INFINITY, stop.signal);
    await page.setViewportSize(sizes.overview);
    await page.goto(`${self.lab.controllerUrl}/`);
    await happen(guests[0]);
    await page.getByText("an unregistered guest sends traffic").waitFor({ timeout: 60_000 });
    await page.getByText("another program changed kernel entries").waitFor();
    await page.getByRole("img", { name: /Answer latency.*Mean \d/ }).waitFor();
    await page.locator(".link-live").waitFor();
    await picture("overview");
    await page.setViewportSize(sizes.map);
    await page.goto(`${self.lab.controllerUrl}/#/map`);
    await page.getByRole("group", { name: /Map of 5 hosts and ([5-9]|10) tunnels/ }).waitFor();
    await self.call("PATCH", "/v1/vms/cache-1", { host: "d" });
    await page.locator('.flight[data-vm="cache-1"] animateMotion').waitFor({ state: "attached" });
    // Half of its way.
    const svg = "document.querySelector('svg.map')";
    await page.evaluate(`${svg}.pauseAnimations(); ${svg}.setCurrentTime(${svg}.getCurrentTime() + 0.6)`);
    await picture("map");
    stop.abort();
    await talking;
    expectNone();
  });

  /** Operations, and events that operators should know. */
  async function happen(guest: Guest | undefined): Promise<void> {
    await self.call("PATCH", "/v1/vms/web-2", { description: "Front of the shop", labels: { tier: "web" } });
    const interfaces = [{ network: "blue", ips: ["10.20.1.40"] }];
    await self.call("PUT", "/v1/vms/queue-1", { host: "d", interfaces, labels: { tier: "queue" } });
    await self.call("PUT", "/v1/networks/red", { vni: 200, subnets: ["10.30.1.0/24"], description: "Payments" });
    await self.call("PATCH", "/v1/hosts/e", { labels: { rack: "r7" } });
    if (!guest) throw new Error("no guest");
    await guest.ping("10.20.1.4", { count: 1 });
    await self.lab.host("a").exec(["ip", "neigh", "del", "10.20.1.4", "dev", "nmv100"]);
    const socket = await openPacketSocket(guest, "eth0");
    const nobody = { to: "52:54:00:00:00:01", from: "52:54:00:00:ff:01", type: 0x88b5, payload: Buffer.alloc(46) };
    socket.inject(ethernet(nobody));
    socket.close();
  }
});

/** Guests ask for each other, and sometimes for unknown addresses; more in some minutes than in others. */
async function talk(guests: readonly Guest[], untilMs: number, signal?: AbortSignal): Promise<void> {
  for (let turn = 0; performance.now() < untilMs && !signal?.aborted; turn++) {
    const busy = 1 + Math.round(2.5 * (1 + Math.sin(turn / 40)));
    const pings = Array.from({ length: busy }, (_, i) => {
      const from = guests[(turn * 7 + i * 4) % guests.length];
      const to = (turn * turn + i * 5) % (guests.length + 2);
      return from?.ping(`10.20.1.${to + 1}`, { count: 1 });
    });
    await Promise.allSettled(pings);
  }
  expect(guests.length).toBeGreaterThan(0);
}
