// How every resource is listed: in pages, filtered, and found by its addresses.
import { describe, expect, test } from "vitest";
import { call, populate, startController, startSecured, vm } from "./harness.ts";

describe("lists", () => {
  const namesOf = (items: readonly { name: string }[]) => items.map(({ name }) => name);

  test("are paged without repeating or missing existing items, despite concurrent changes", async () => {
    const controller = await startController();
    await populate(controller);
    const put = (name: string) => call(controller, 201, "PUT", `/v1/vms/${name}`, { host: "c", interfaces: [] });
    const standing = Array.from({ length: 25 }, (_, i) => `n-${String(i * 2).padStart(2, "0")}`);
    for (const name of standing) await put(name);
    const seen: string[] = [];
    let next: string | undefined = "/v1/vms?name=n-&limit=7";
    for (let page = 0; next !== undefined; page++) {
      const { body, headers } = await controller.request("GET", next);
      seen.push(...namesOf(body.vms));
      const [, link] = /^<(.*)>; rel="next"$/.exec(headers.get("link") ?? "") ?? [];
      expect(link === undefined).toBe(body.next === undefined);
      next = link;
      await put(`n-${String(page * 14 + 1).padStart(2, "0")}`);
      if (page === 0) await call(controller, 204, "DELETE", "/v1/vms/n-00");
    }
    expect(seen.filter((name) => standing.includes(name))).toEqual(standing);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("of a network or host that does not exist are an error, in the same words where it is hidden", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    for (const path of ["vms?network=nope", "hosts?network=nope", "vms?host=nope", "networks?host=nope"]) {
      const { detail } = await call(secured.admin, 404, "GET", `/v1/${path}`);
      expect(detail).toMatch(/^no (network|host) is named "nope"$/);
    }
    const { token } = await secured.issue({ role: "viewer", networks: ["red"] });
    const narrowed = secured.as(token);
    for (const [hidden, absent] of [
      ["vms?network=blue", "vms?network=nope"],
      ["vms?host=a", "vms?host=nope"],
      ["networks?host=a", "networks?host=nope"],
      ["hosts?network=blue", "hosts?network=nope"],
    ]) {
      const { detail } = await call(narrowed, 404, "GET", `/v1/${hidden}`);
      const twin = await call(narrowed, 404, "GET", `/v1/${absent}`);
      expect(detail.replace(/"(blue|a)"/, '"nope"')).toBe(twin.detail);
    }
    expect((await call(narrowed, 200, "GET", "/v1/vms?network=red")).vms).toEqual([]);
  });

  test("return 100 items by default", async () => {
    const controller = await startController();
    await populate(controller);
    for (let i = 0; i < 105; i++)
      await call(controller, 201, "PUT", `/v1/hosts/h${i}`, { vtep: `198.51.100.${i + 1}` });
    expect((await call(controller, 200, "GET", "/v1/hosts")).hosts).toHaveLength(100);
    const all = await call(controller, 200, "GET", "/v1/hosts?limit=1000");
    expect([all.hosts.length, all.next]).toEqual([108, undefined]);
  });

  test("are filtered by network, host, labels and name prefix", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 200, "PATCH", "/v1/vms/web-1", { labels: { tier: "web", "example.com/team": "red" } });
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { labels: { tier: "web", retired: "" } });
    await call(controller, 201, "PUT", "/v1/vms/db", vm("c", 3, "red"));
    const found = async (query: string) => namesOf((await call(controller, 200, "GET", `/v1/vms?${query}`)).vms);
    expect(await found("network=blue")).toEqual(["web-1", "web-2"]);
    expect(await found("host=c")).toEqual(["db"]);
    expect(await found("host=c&network=blue")).toEqual([]);
    expect(await found("name=web-")).toEqual(["web-1", "web-2"]);
    expect(await found("label=tier%3Dweb,!retired")).toEqual(["web-1"]);
    expect(await found("label=tier")).toEqual(["web-1", "web-2"]);
    expect(await found("label=!tier")).toEqual(["db"]);
    expect(await found("label=example.com/team!%3Dred")).toEqual(["db", "web-2"]);
    const hosts = await call(controller, 200, "GET", "/v1/hosts?network=blue");
    expect(namesOf(hosts.hosts)).toEqual(["a", "b"]);
    const networks = await call(controller, 200, "GET", "/v1/networks?host=c");
    expect(namesOf(networks.networks)).toEqual(["red"]);
  });

  test("find resources by label after import, patch, move, deletion and restart", async () => {
    const controller = await startController();
    await populate(controller);
    const found = async (label: string, more = "", of = controller) => {
      const query = `label=${encodeURIComponent(label)}${more}`;
      return namesOf((await call(of, 200, "GET", `/v1/vms?${query}`)).vms);
    };
    const lines = [5, 6, 7].map((n) => ({ kind: "vm", name: `job-${n}`, labels: { tier: "batch" }, ...vm("a", n) }));
    const ndjson = { "content-type": "application/x-ndjson" };
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    expect((await controller.request("POST", "/v1/import", text, ndjson)).status).toBe(200);
    expect(await found("tier=batch")).toEqual(["job-5", "job-6", "job-7"]);

    await call(controller, 200, "PATCH", "/v1/vms/job-5", { labels: { tier: "web" } });
    await call(controller, 200, "PATCH", "/v1/vms/job-6", { labels: { tier: null, team: "red" } });
    await call(controller, 200, "PATCH", "/v1/vms/job-7", { host: "b" });
    const expectAll = async (of = controller) => {
      expect(await found("tier=batch", "", of)).toEqual(["job-7"]);
      expect(await found("tier=batch", "&host=a", of)).toEqual([]);
      expect(await found("tier", "", of)).toEqual(["job-5", "job-7"]);
      expect(await found("tier", "&network=blue&name=job-5", of)).toEqual(["job-5"]);
      expect(await found("team=red", "", of)).toEqual(["job-6"]);
    };
    await expectAll();
    await controller.stop();
    const restarted = await startController({ db: controller.db });
    await expectAll(restarted);
    await call(restarted, 204, "DELETE", "/v1/vms/job-7");
    expect(await found("tier=batch", "", restarted)).toEqual([]);
    expect(await found("tier", "", restarted)).toEqual(["job-5"]);
  });

  test("find a VM by a full IP or MAC in any notation, in every network, and for a limited token only in its own", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    // The same addresses as web-1's, in another network.
    await call(secured.admin, 201, "PUT", "/v1/vms/twin", vm("c", 1, "red"));
    const both = { ...vm("c", 4, "red"), interfaces: [...vm("c", 4, "red").interfaces, ...vm("c", 5).interfaces] };
    await call(secured.admin, 201, "PUT", "/v1/vms/both", both);
    const found = async (query: string, as = secured.admin) =>
      namesOf((await call(as, 200, "GET", `/v1/vms?${query}`)).vms);
    expect(await found("ip=10.20.1.1")).toEqual(["twin", "web-1"]);
    expect(await found("ip=10.20.1.1&network=blue")).toEqual(["web-1"]);
    expect(await found("ip=10.20.1.1&host=c")).toEqual(["twin"]);
    expect(await found("ip=FD00:20:0::1")).toEqual(["web-1"]);
    expect(await found("mac=52-54-00-00-00-02")).toEqual(["web-2"]);
    expect(await found("mac=52:54:00:00:00:01&name=t")).toEqual(["twin"]);
    expect(await found("ip=10.20.1.4&mac=52:54:00:00:00:04")).toEqual(["both"]);
    // Both are its addresses, but of two interfaces.
    expect(await found("ip=10.20.1.4&mac=52:54:00:00:00:05")).toEqual([]);
    expect(await found("ip=10.20.1.99")).toEqual([]);
    const first = await call(secured.admin, 200, "GET", "/v1/vms?ip=10.20.1.1&limit=1");
    expect(await found(`ip=10.20.1.1&limit=1&cursor=${first.next}`)).toEqual(["web-1"]);

    const { token } = await secured.issue({ role: "viewer", networks: ["red"] });
    const narrowed = secured.as(token);
    expect(await found("ip=10.20.1.1", narrowed)).toEqual(["twin"]);
    expect(await found("mac=52:54:00:00:00:05", narrowed)).toEqual([]);
    await call(secured.admin, 200, "PATCH", "/v1/vms/twin", { interfaces: { eth0: { ips: ["10.20.1.7"] } } });
    expect(await found("ip=10.20.1.1")).toEqual(["web-1"]);
  });

  test.each([
    "cursor=zzz",
    "label=%3Dx",
    "label=!a%3Db",
    "limit=0",
    "limit=1001",
    "colour=red",
    "ip=10.20.1",
    "mac=52:54",
  ])("%s is refused", async (query) => {
    const controller = await startController();
    const { status, body } = await controller.request("GET", `/v1/vms?${query}`);
    expect([status, body.errors[0].pointer]).toEqual([400, `/${query.split("=")[0]}`]);
  });
});
