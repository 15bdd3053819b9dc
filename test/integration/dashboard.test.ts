// The dashboard as files: content, size, and headers. Its behaviour is in test/browser/.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dashboardDirectory } from "../../controller/http/dashboard.ts";
import { startController, startSecured } from "./harness.ts";

/** All that a browser loads, compressed. */
const maxBytes = 150_000;

const files = readdirSync(dashboardDirectory(), { recursive: true, encoding: "utf8" });

test("is below 150 kB compressed, with gzip and with brotli", () => {
  for (const suffix of [".br", ".gz"]) {
    const sizes = files
      .filter((file) => file.endsWith(suffix))
      .map((file) => readFileSync(join(dashboardDirectory(), file)).length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((all, size) => all + size, 0)).toBeLessThan(maxBytes);
  }
});

test("is served without a token, compressed, under a policy that allows nothing external and nothing inline", async () => {
  const { base } = await startSecured();
  const page = await fetch(`http://${base}/`, { headers: { "accept-encoding": "br" } });
  expect(page.status).toBe(200);
  expect(page.headers.get("content-encoding")).toBe("br");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("connect-src 'self'");
  expect(policy).not.toMatch(/unsafe|https?:|data:|\*/);
  const html = await page.text();
  expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  const assets = [...html.matchAll(/(?:src|href)="\.?(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  expect(assets.length).toBeGreaterThanOrEqual(3);
  for (const path of assets) {
    const asset = await fetch(`http://${base}${path}`);
    expect(asset.status).toBe(200);
    expect(asset.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(asset.headers.get("x-content-type-options")).toBe("nosniff");
  }
});

test("names no other site, and answers 404 for files that it does not have", async () => {
  const { base } = await startController();
  for (const file of files.filter((each) => /\.(?:js|css|html)$/.test(each))) {
    const text = readFileSync(join(dashboardDirectory(), file), "utf8");
    const named = [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url);
    // Names of XML namespaces are not addresses.
    expect(new Set(named.filter((url) => url !== "http://www.w3.org"))).toEqual(new Set());
  }
  for (const path of ["/assets/nothing.js", "/assets/..%2f..%2fpackage.json", "/index.html", "/assets/"]) {
    expect(`${path} ${(await fetch(`http://${base}${path}`)).status}`).toBe(`${path} 404`);
  }
});
