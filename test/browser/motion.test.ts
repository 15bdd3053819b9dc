// A move on the map: animated, or only its end if the user prefers reduced motion.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { call, populate, startController } from "../integration/harness.ts";
import { describeBrowser, letGo, tabs } from "../support/browser.ts";

describeBrowser("a move on the map", () => {
  const openPage = tabs();

  /** The map while web-1 moves from a to c. */
  async function watchMove(reducedMotion: "reduce" | "no-preference") {
    const controller = await startController();
    await populate(controller);
    const watched = await openPage({ reducedMotion });
    const { page } = watched;
    await page.addInitScript(recordPlaces);
    await page.goto(`http://${controller.base}/#/map`);
    await page.getByRole("group", { name: "Map of 3 hosts and 0 tunnels" }).waitFor();
    await page.locator(".link-live").waitFor();
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await page.locator('.flight[data-vm="web-1"]').waitFor({ state: "attached" });
    const style = await page.evaluate("getComputedStyle(document.querySelector('.flight')).animationTimingFunction");
    const tags = await page.locator(".flight animateMotion").count();
    await page.waitForFunction("globalThis.places?.length === 3");
    await page.getByRole("region", { name: "Moves" }).getByText("a to c").waitFor();
    const seen = { ...watched, style, tags, places: await placesOf(page), end: await upperEdgeOf(page, "c") };
    await letGo(page);
    await expect.poll(() => page.locator(".flight").count()).toBe(0);
    return seen;
  }

  test("is animated from the old host to the new one", async () => {
    const { expectNone, tags, places, end } = await watchMove("no-preference");
    expect(tags).toBe(1);
    const [first, middle, last] = places;
    expect(distance(first, middle)).toBeGreaterThan(20);
    expect(distance(middle, last)).toBeGreaterThan(20);
    expect(distance(last, end)).toBeLessThan(2);
    expectNone();
  });

  test("appears at its end at once, and disappears without fading, if the user prefers reduced motion", async () => {
    const { expectNone, tags, style, places, end } = await watchMove("reduce");
    expect(tags).toBe(0);
    expect(style).toMatch(/^step/);
    expect(new Set(places.map(String)).size).toBe(1);
    expect(distance(places[0], end)).toBeLessThan(2);
    expectNone();
  });
});

/** In the page: three places of the VM by the clock of its animation, however few pictures the machine can draw. */
const recordPlaces = `
  const place = (dot) => {
    const { x, y, width, height } = dot.querySelector("circle").getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  };
  const record = (dot) => {
    const motion = dot.querySelector("animateMotion");
    if (!motion) return void (globalThis.places = [place(dot), place(dot), place(dot)]);
    let start;
    try {
      start = motion.getStartTime();
    } catch {
      return void setTimeout(() => record(dot), 5);
    }
    const svg = dot.ownerSVGElement;
    svg.pauseAnimations();
    globalThis.places = [0.1, 0.7, 1.5].map((seconds) => {
      svg.setCurrentTime(start + seconds);
      return place(dot);
    });
    svg.unpauseAnimations();
  };
  new MutationObserver((_, observer) => {
    const dot = document.querySelector(".flight-dot");
    if (!dot) return;
    observer.disconnect();
    record(dot);
  }).observe(document, { childList: true, subtree: true });
`;

const placesOf = (page: Page) => page.evaluate("globalThis.places") as Promise<number[][]>;

async function upperEdgeOf(page: Page, host: string): Promise<number[]> {
  const box = await page
    .getByRole("button", { name: new RegExp(`^${host}, `) })
    .locator(".card")
    .boundingBox();
  if (!box) throw new Error(`${host} is not on the map`);
  return [box.x + box.width / 2, box.y];
}

function distance(one: readonly number[] = [], other: readonly number[] = []): number {
  const [x = Number.NaN, y = Number.NaN] = one;
  const [toX = Number.NaN, toY = Number.NaN] = other;
  return Math.hypot(toX - x, toY - y);
}
