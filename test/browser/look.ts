// Checks a page in its present state: light and dark, wide and narrow. With NEARMISS_SCREENSHOTS=<directory> it saves a
// picture of each.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";

/** Where pictures go; absent: none are made. */
export const pictures = process.env.NEARMISS_SCREENSHOTS;

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const sizes = {
  wide: { width: 1_440, height: 900 },
  middle: { width: 1_024, height: 768 },
  narrow: { width: 390, height: 844 },
} as const;
const themes = ["light", "dark"] as const;
/** Of a picture: longer pages repeat themselves. */
const tallest = 1_800;

/** Cells of tables that cannot be seen although the page scrolls, and text that is cut off without a sign of it. */
const unseen = `(() => {
  const faults = new Set();
  for (const cell of document.querySelectorAll("main td")) {
    const { width, height } = cell.getBoundingClientRect();
    if ((width < 1 || height < 1) && cell.checkVisibility()) faults.add("the cell " + (cell.dataset.title ?? "") + " has no room");
    if (!cell.checkVisibility() && !cell.closest("details:not([open])")) faults.add("the cell " + (cell.dataset.title ?? "") + " is not shown");
  }
  for (const element of document.querySelectorAll("main *, header *, dialog *")) {
    const { overflowX, textOverflow } = getComputedStyle(element);
    const isCut = overflowX === "hidden" && textOverflow !== "ellipsis" && element.scrollWidth > element.clientWidth + 1;
    if (isCut && element.clientWidth > 1 && element.textContent.trim() !== "" && !element.closest(".chart-plot, svg, .hidden")) faults.add("text is cut off in " + element.outerHTML.slice(0, 80));
  }
  return [...faults];
})()`;

/** @returns the violations of WCAG 2.2 A and AA by axe-core, elements beyond the edge, and what is cut off */
export async function look(page: Page, name: string): Promise<string[]> {
  const faults: string[] = [];
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    const beyond = Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
    if (beyond > 0) faults.push(`${name}: ${beyond} px beyond the edge, ${size}`);
    faults.push(...((await page.evaluate(unseen)) as string[]).map((fault) => `${name}: ${fault}, ${size}`));
    if (pictures) for (const theme of themes) await picture(page, `${name}-${size}`, theme);
  }
  await page.setViewportSize(sizes.wide);
  await page.emulateMedia({ colorScheme: "light" });
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(axe);
  const all = 'runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]';
  faults.push(...(await violations(page, all)).map((violation) => `${name}: ${violation}`));
  // Nothing but its colours is another in the dark.
  await page.emulateMedia({ colorScheme: "dark" });
  faults.push(...(await violations(page, 'runOnly: ["color-contrast"]')).map((found) => `${name}, dark: ${found}`));
  await page.emulateMedia({ colorScheme: "light" });
  return faults;
}

async function picture(page: Page, name: string, theme: (typeof themes)[number]): Promise<void> {
  await page.emulateMedia({ colorScheme: theme });
  mkdirSync(String(pictures), { recursive: true });
  const path = join(String(pictures), `${name}-${theme}.png`);
  const { width, height } = page.viewportSize() ?? sizes.wide;
  const isDialog = await page.getByRole("dialog").isVisible();
  const whole = Number(await page.evaluate("document.documentElement.scrollHeight"));
  // A dialog is part of the visible screen.
  if (isDialog || whole <= height) await page.screenshot({ path });
  else await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(whole, tallest) } });
}

function violations(page: Page, options: string): Promise<string[]> {
  return page.evaluate(`axe.run(document, { ${options}, resultTypes: ["violations"] })
    .then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 160) + " " + failureSummary).slice(0, 2).join(" | ")))`);
}
