// Hostile texts of another operator, meant for users of the dashboard: over TLS, in all names that the schema accepts.
import { expect, test } from "vitest";
import { describeBrowserLab, logIn, tabs } from "../support/browser.ts";
import { cluster } from "../support/cluster.ts";

/** Names of properties that every object has: where a page keeps things by name, they are found without having been put there. */
const inherited = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "isPrototypeOf",
  "__defineGetter__",
  "__lookupSetter__",
];
const names = [...inherited, "-", "_", "...", "NaN", "null", "undefined", "0", "-1", "1e9", "w".repeat(63)];

const marker = "rest-of-it";
const descriptions: Readonly<Record<string, string>> = {
  html: `<img src=x onerror="globalThis.broken=1"><script>globalThis.broken=1</script></textarea></style>&lt;${marker}`,
  template: `\${globalThis.broken=1} {{constructor.constructor("globalThis.broken=1")()}} ${marker}`,
  link: `javascript:globalThis.broken=1 https://evil.example/ ${marker}`,
  "right-to-left override": `\u202e\u2066gnihtyna\u202e ${marker}`,
  "unclosed isolates": `${"\u2067\u202b".repeat(60)} ${marker}`,
  "zero width": `a\u200b\u200c\u200d\ufeff\u2060b\u00ad ${marker}`,
  "combining marks": `z${"\u0301\u0336".repeat(300)} ${marker}`,
  "control characters": `\u0000\u0007\u001b[31m\u009b31m\u007f\r\n\t ${marker}`,
  "one word": `${"w".repeat(1_000)} ${marker}`,
  "line separators": `a\u2028b\u2029c\u0085 ${marker}`,
  "half a pair, and a pair": `\ud800 \u{1f469}\u200d\u{1f469} ${marker}`,
};

/** Runs in the page. */
const bidiOf = (element: unknown): string => {
  const page = globalThis as unknown as { getComputedStyle(of: unknown): { unicodeBidi: string } };
  return page.getComputedStyle(element).unicodeBidi;
};

describeBrowserLab("what another operator writes", () => {
  const self = cluster({ hosts: 1, underlay: 4, secured: true });
  const openPage = tabs(() => self.lab.controllerNamespace.namespace);

  test("is shown verbatim, runs nothing, widens no page and finds nothing that does not exist", async () => {
    const kinds = Object.entries(descriptions);
    const { call } = self;
    for (const [i, name] of names.entries()) {
      const [, description = ""] = kinds[i % kinds.length] ?? [];
      const labels = Object.fromEntries(
        [...inherited, "k".repeat(63)].filter((key) => /^[a-z]/.test(key)).map((key) => [key, "v".repeat(63)]),
      );
      const more = { description, labels };
      await call("PUT", `/v1/networks/${name}`, { vni: 100 + i, subnets: ["10.20.1.0/24"], ...more });
      await call("PUT", `/v1/hosts/${name}`, { vtep: `192.0.2.${10 + i}`, ...more });
      const interfaces = [{ name, network: name, mac: `52:54:00:00:00:${(16 + i).toString(16)}`, ips: ["10.20.1.9"] }];
      await call("PUT", `/v1/vms/${name}`, { host: name, interfaces, ...more });
      // A change, for pages that show the previous state.
      await call("PATCH", `/v1/vms/${name}`, { labels: { tier: "web" } });
    }
    const { token } = await call<{ token: string }>("POST", "/v1/tokens", {
      role: "admin",
      note: "<img src=x onerror=globalThis.broken=1>",
    });
    const { page, expectNone } = await openPage({ ignoreHTTPSErrors: true });
    await page.goto(`${self.lab.controllerUrl}/`);
    await logIn(page, token);
    const broken = async (where: string): Promise<void> => {
      expect(await page.evaluate("globalThis.broken"), where).toBeUndefined();
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), where).toBeLessThanOrEqual(0);
    };
    for (const plural of ["networks", "hosts", "vms"]) {
      await page.goto(`${self.lab.controllerUrl}/#/${plural}`);
      await page.locator("main").getByRole("link", { name: "__proto__", exact: true }).first().waitFor();
      await broken(plural);
      for (const [i, name] of names.entries()) {
        const [kind = ""] = kinds[i % kinds.length] ?? [];
        const where = `${plural}/${name} (${kind})`;
        await page.goto(`${self.lab.controllerUrl}/#/${plural}/${encodeURIComponent(name)}`);
        await page.getByRole("heading", { name, exact: true }).waitFor();
        const description = page.locator("main").getByText(marker).first();
        await description.waitFor();
        // No text in it changes the direction of its neighbours.
        expect(["isolate", "isolate-override", "plaintext"], where).toContain(await description.evaluate(bidiOf));
        await broken(where);
      }
    }
    for (const path of [
      "",
      "map",
      "map?network=__proto__",
      "map?host=constructor",
      "events",
      "vms?q=__proto__",
      "hosts?q=toString",
    ]) {
      await page.goto(`${self.lab.controllerUrl}/#/${path}`);
      await page.locator(".link-live").waitFor();
      await page.locator("main").waitFor();
      await broken(path);
    }
    // Absent names are not found, even those that objects inherit.
    for (const name of ["toLocaleString", "propertyIsEnumerable", "__lookupGetter__"]) {
      await page.goto(`${self.lab.controllerUrl}/#/vms/${name}`);
      await page
        .getByText(/no VM|not found|does not exist|gone/i)
        .first()
        .waitFor();
    }
    // A form accepts them, and keeps unchanged fields.
    await page.goto(`${self.lab.controllerUrl}/#/vms/__proto__`);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Labels").fill("constructor=other, toString=x");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".facts").getByText("other").waitFor();
    const { labels } = await call<{ labels: object }>("GET", "/v1/vms/__proto__");
    expect(labels).toEqual({ constructor: "other", toString: "x" });
    expectNone(/404/);
  });
});
