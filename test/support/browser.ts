// Debian's Chromium, driven by playwright-core: found, started, and watched for console messages of a page.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { flightMs, noticeMs } from "../../dashboard/moments.ts";
import { whyNoLab } from "../../testkit/lab/lab.ts";
import { patienceMs } from "../../testkit/lab/wait.ts";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function findChromium(): string | undefined {
  return [process.env.NEARMISS_CHROMIUM ?? "", ...places].find((path) => path !== "" && existsSync(path));
}

/** In CI a skip is a failure: there they run and fail. */
export const describeBrowser = describe.skipIf(findChromium() === undefined && process.env.CI !== "true");

/** The same, where agents and guests are needed too. */
export const describeBrowserLab = describe.skipIf(
  (findChromium() === undefined || whyNoLab() !== undefined) && process.env.CI !== "true",
);

export interface Watched {
  readonly page: Page;
  /** The page's messages so far. */
  readonly complaints: string[];
  /** Ignores messages that a test has caused itself. */
  expectNone(except?: RegExp): void;
}

type TabOptions = Parameters<Browser["newContext"]>[0];

/**
 * A browser for the tests of the block in which this is called.
 * @param namespace of the browser: it reaches the same addresses as a host of a lab
 * @returns a function that opens a fresh tab with nothing stored, which is closed with its test
 */
export function tabs(namespace?: () => string): (options?: TabOptions) => Promise<Watched> {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(namespace?.());
  });
  afterAll(() => browser?.close());
  return (options) => openPage(browser, options);
}

/**
 * In every page: elements that it removes by itself stay until `letGo`, so that the moment of a test's check does not
 * matter.
 */
const momentsAreHeld = `{
  const start = globalThis.setTimeout;
  const timers = [];
  globalThis.setTimeout = (what, ms, ...more) =>
    ${JSON.stringify([flightMs, noticeMs])}.includes(ms) ? timers.push(what) : start(what, ms, ...more);
  globalThis.letGo = () => timers.splice(0).forEach((what) => what());
}`;

/** @throws Error if there is none */
async function startBrowser(namespace?: string): Promise<Browser> {
  const found = findChromium();
  if (found === undefined) {
    throw new Error(
      `no Chromium at ${places.join(", ")}: \`apt-get install chromium\`, or name it in NEARMISS_CHROMIUM`,
    );
  }
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-browser-"));
  const started = join(directory, "chromium");
  const inside = namespace === undefined ? "" : `ip netns exec ${namespace} `;
  writeFileSync(started, `#!/bin/sh\nexec ${inside}${found} "$@"\n`);
  chmodSync(started, 0o755);
  // As root Chromium refuses its own sandbox; it opens only our own pages here.
  const browser = await chromium.launch({ executablePath: started, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  browser.on("disconnected", () => rmSync(directory, { recursive: true, force: true }));
  return browser;
}

async function openPage(browser: Browser, options: TabOptions): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.addInitScript(momentsAreHeld);
  page.setDefaultTimeout(patienceMs);
  const complaints: string[] = [];
  const origins = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("request", (request) => origins.add(new URL(request.url()).origin));
  return {
    page,
    complaints,
    expectNone(except) {
      expect(complaints.filter((complaint) => !except?.test(complaint))).toEqual([]);
      // All of its resources come from the controller.
      expect([...origins].filter((origin) => origin !== new URL(page.url()).origin)).toEqual([]);
    },
  };
}

/**
 * Chromium's messages about a server that does not answer: they depend on what it was about to do with its connections.
 */
export const wayIsCut = /net::ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)|WebSocket/;

/** Moves on the map and notices, as if their time were over. */
export async function letGo(page: Page): Promise<void> {
  await page.evaluate("letGo()");
}

/** At the way in. */
export async function logIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}
