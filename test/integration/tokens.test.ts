// Tokens from the first start to revocation, over REST and beside a running controller.
import { readFileSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { firstTokenFile, writeFirstToken } from "../../controller/auth/first-token.ts";
import { openLocalTokens } from "../../controller/auth/local-tokens.ts";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import type { TokenView } from "../../schema/rest/index.ts";
import { holdIntervals } from "../support/held-timeouts.ts";
import { call, populate, problemType, startController, startSecured, temporaryDatabase } from "./harness.ts";

const roles = ["admin", "operator", "viewer"] as const;
const hour = 3_600_000;

/** With authentication, and a clock that the test advances. */
async function startWithClock() {
  let aheadMs = 0;
  const now = () => new Date(Date.now() + aheadMs);
  const secured = await startSecured({ now });
  return {
    ...secured,
    inAnHour: () => new Date(now().getTime() + hour).toISOString(),
    advance: (ms: number) => {
      aheadMs += ms;
    },
  };
}

describe("a token", () => {
  test.each(roles)("of role %s has a readable prefix and 256 random bits, and is shown once", async (role) => {
    const { admin, db } = await startSecured();
    const made: TokenView = await call(admin, 201, "POST", "/v1/tokens", { role, note: "ci" });
    expect(made.token).toMatch(new RegExp(`^nm_${role}_[A-Za-z0-9_-]{43}$`));
    const { tokens } = await call(admin, 200, "GET", "/v1/tokens");
    expect(tokens).toHaveLength(2);
    const { token: _secret, ...listed } = made;
    expect(tokens).toContainEqual(listed);
    expect(readFileSync(db).includes(made.token ?? "")).toBe(false);
    expect(readFileSync(`${db}-wal`).includes(made.token ?? "")).toBe(false);
  });

  test("expires after 90 days unless stated otherwise, and is refused from then on", async () => {
    const secured = await startWithClock();
    const { expires } = await call(secured.admin, 201, "POST", "/v1/tokens", { role: "viewer" });
    expect(Date.parse(expires) - Date.now()).toBeGreaterThan(89.9 * 86_400_000);
    expect(await call(secured.admin, 201, "POST", "/v1/tokens", { role: "viewer", expires: null })).toMatchObject({
      expires: null,
    });
    const short = await secured.issue({ role: "viewer", expires: secured.inAnHour() });
    const viewer = secured.as(short.token);
    const events = viewer.events();
    await events.opened;
    await call(viewer, 200, "GET", "/v1/networks");
    secured.advance(hour);
    expect(await events.closed).toMatchObject({ code: 4401 });
    await call(viewer, 401, "GET", "/v1/networks");
  });

  test.each([
    [{ role: "admin", networks: ["blue"] }, "limited"],
    [{ role: "viewer", networks: [] }, "networks"],
    [{ role: "viewer", expires: "tomorrow" }, "expires"],
    [{ role: "viewer", expires: "2001-01-01T00:00:00Z" }, "passed"],
    [{ role: "viewer", note: "a\u001b[2Jb" }, "note"],
    [{ role: "host" }, "role"],
  ])("%j is refused with the reason", async (body, why) => {
    const { admin } = await startSecured();
    expect(JSON.stringify(await call(admin, 400, "POST", "/v1/tokens", body))).toContain(why);
    expect((await call(admin, 200, "GET", "/v1/tokens")).tokens).toHaveLength(1);
  });

  test("that is revoked is refused at the next request, and its open connections are closed", async () => {
    const secured = await startSecured();
    const { id, token } = await secured.issue({ role: "operator" });
    const operator = secured.as(token);
    const events = operator.events();
    await events.opened;
    await call(secured.admin, 204, "DELETE", `/v1/tokens/${id}`);
    const refused = await operator.request("GET", "/v1/networks");
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await events.closed).toMatchObject({ code: 4401 });
    await call(secured.admin, 404, "DELETE", `/v1/tokens/${id}`);
  });

  test("that is the last admin token is revoked only by force: then a local command makes another", async () => {
    const secured = await startWithClock();
    const list = async () => (await call(secured.admin, 200, "GET", "/v1/tokens")).tokens;
    const [{ id }] = await list();
    const other = await secured.issue({ role: "admin", expires: secured.inAnHour() });
    await secured.issue({ role: "operator" });
    const watching = secured.as(other.token).events();
    await watching.opened;
    secured.advance(hour);
    expect(await watching.closed).toMatchObject({ code: 4401 });
    const refused = await secured.admin.request("DELETE", `/v1/tokens/${id}`);
    expect([refused.status, problemType(refused.body)]).toEqual([409, "in-use"]);
    expect(refused.body.detail).toContain("`nearmiss token create --role admin --db FILE`");
    const second = await secured.issue({ role: "admin" });
    await call(secured.as(second.token), 204, "DELETE", `/v1/tokens/${id}`);
    await call(secured.as(second.token), 204, "DELETE", `/v1/tokens/${second.id}?force=true`);
    expect((await secured.as(second.token).request("GET", "/v1/tokens")).status).toBe(401);
  });

  test("can have 64 event streams open at a time, of either kind", async () => {
    const secured = await startSecured();
    const { token } = await secured.issue({ role: "viewer" });
    const viewer = secured.as(token);
    const streams = Array.from({ length: 64 }, () => viewer.events());
    await Promise.all(streams.map(({ opened }) => opened));
    await expect(viewer.events().opened).rejects.toThrow("429");
    const sse = await viewer.request("GET", "/v1/events", undefined, { accept: "text/event-stream" });
    expect([sse.status, problemType(sse.body)]).toEqual([429, "too-many-requests"]);
    const others = secured.admin.events();
    await others.opened;
    streams[0]?.close();
    await streams[0]?.closed;
    await viewer.events().opened;
  });

  test("shows when it was last used, also after a restart", async () => {
    const secured = await startSecured();
    const { id, token } = await secured.issue({ role: "viewer" });
    await call(secured.as(token), 200, "GET", "/v1/networks");
    const lastUsed = async (controller: typeof secured.admin) => {
      const { tokens } = await call(controller, 200, "GET", "/v1/tokens");
      return tokens.find((each: TokenView) => each.id === id).lastUsed;
    };
    const before = await lastUsed(secured.admin);
    expect(Date.now() - Date.parse(before)).toBeLessThan(60_000);
    await secured.stop();
    const again = await startController({ insecure: false, db: secured.db });
    const headers = { authorization: `Bearer ${secured.adminToken}` };
    const { body } = await again.request("GET", "/v1/tokens", undefined, headers);
    expect(body.tokens.find((each: TokenView) => each.id === id).lastUsed).toBe(before);
  });
});

describe("on the controller's machine", () => {
  test("the first start writes an admin token that only its owner can read, and no later one does", async () => {
    const db = temporaryDatabase();
    const store = openSqliteStore(db);
    const file = await writeFirstToken(store.access, db, new Date());
    expect(file).toBe(firstTokenFile(db));
    expect(statSync(file ?? "").mode & 0o777).toBe(0o600);
    const secret = readFileSync(file ?? "", "utf8").trim();
    for (const { id } of await store.access.listTokens()) {
      await store.access.removeToken(id, { name: "x", role: "admin", scope: "all" }, new Date().toISOString(), false);
    }
    expect(await writeFirstToken(store.access, db, new Date())).toBeUndefined();
    await store.close();
    expect(secret).toMatch(/^nm_admin_/);
  });

  test("a token can be made and revoked without a controller", async () => {
    const secured = await startSecured();
    await secured.stop();
    const desk = openLocalTokens(secured.db);
    const { token = "" } = await desk.create({ role: "admin" });
    const [old] = await desk.list();
    await desk.revoke(old?.id ?? "", false);
    desk.close();
    const again = await startController({ insecure: false, db: secured.db });
    expect((await again.request("GET", "/v1/tokens", undefined, bearer(token))).status).toBe(200);
    expect((await again.request("GET", "/v1/tokens", undefined, bearer(secured.adminToken))).status).toBe(401);
  });

  test("a running controller accepts a new one, and drops a revoked one with its sockets, within a second", async () => {
    const pass = holdIntervals();
    const secured = await startSecured({ door: { unknownPerSecond: 100_000 } });
    const desk = openLocalTokens(secured.db);
    const { id, token = "" } = await desk.create({ role: "viewer" });
    const viewer = secured.as(token);
    const status = async () => (await viewer.request("GET", "/v1/networks")).status;
    expect(await status()).toBe(401);
    pass(1_000);
    await expect.poll(status).toBe(200);
    const events = viewer.events();
    await events.opened;
    await desk.revoke(id, false);
    expect(await status()).toBe(200);
    pass(1_000);
    await expect.poll(status).toBe(401);
    expect(await events.closed).toMatchObject({ code: 4401 });
    desk.close();
  });

  test("a file that is not a database, or of another version, is refused with instructions", async () => {
    const db = temporaryDatabase();
    expect(() => openLocalTokens(db)).toThrow(/does not exist.*first start/);
    new Database(db).exec("PRAGMA user_version = 99").close();
    expect(() => openLocalTokens(db)).toThrow(/is not a database of nearmiss/);
    new Database(db).exec("CREATE TABLE meta (x); CREATE TABLE events (x); CREATE TABLE vms (x)").close();
    expect(() => openLocalTokens(db)).toThrow(/schema 99/);
  });
});

describe("the audit trail", () => {
  test("records who did what, when and from where, tokens included", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const { id, token } = await secured.issue({ role: "operator", networks: ["blue"], note: "blue team" });
    await call(secured.as(token), 200, "PATCH", "/v1/vms/web-1", { host: "c" });
    await call(secured.admin, 204, "DELETE", `/v1/tokens/${id}`);
    const { entries, next } = await call(secured.admin, 200, "GET", "/v1/audit");
    expect(next).toBeNull();
    const moved = entries.at(-2);
    expect(moved).toMatchObject({
      actor: `token ${id} (blue team)`,
      role: "operator",
      address: "127.0.0.1",
      what: ["vm.updated vms/web-1"],
      changes: 1,
      revision: 8,
    });
    expect(Math.abs(Date.now() - Date.parse(moved.time))).toBeLessThan(60_000);
    expect(entries.at(-3)).toMatchObject({ what: [`token.created tokens/${id} (operator for blue)`], revision: null });
    expect(entries.at(-1)).toMatchObject({ what: [`token.revoked tokens/${id}`] });
    expect(JSON.stringify(entries)).not.toContain(token);
  });

  test("does not contain refused or ineffective requests", async () => {
    const { admin } = await startSecured();
    await populate(admin);
    const before = await call(admin, 200, "GET", "/v1/audit");
    await call(admin, 404, "DELETE", "/v1/vms/nobody");
    await call(admin, 200, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
    expect(await call(admin, 200, "GET", "/v1/audit")).toEqual(before);
  });

  test("is read page by page, and since a time", async () => {
    const { admin } = await startSecured();
    await populate(admin);
    const all = await call(admin, 200, "GET", "/v1/audit");
    const first = await call(admin, 200, "GET", "/v1/audit?limit=3");
    const rest = await call(admin, 200, "GET", `/v1/audit?after=${first.next}`);
    expect([...first.entries, ...rest.entries]).toEqual(all.entries);
    const since = all.entries[4].time;
    const late = await call(admin, 200, "GET", `/v1/audit?since=${since}`);
    expect(late.entries).toEqual(all.entries.filter((each: { time: string }) => each.time >= since));
    expect(problemType(await call(admin, 400, "GET", "/v1/audit?since=yesterday"))).toBe("invalid-input");
  });

  test("is written in the transaction of the change", async () => {
    const secured = await startSecured();
    await populate(secured.admin);
    const before = (await call(secured.admin, 200, "GET", "/v1/audit")).entries.length;
    // A disk that fails between the two writes: the trail's table refuses.
    const other = new Database(secured.db);
    other.exec("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END");
    other.close();
    const answer = await secured.admin.request("PUT", "/v1/networks/green", { vni: 5, subnets: ["10.9.0.0/24"] });
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(secured.fatal).toHaveLength(1);
    await secured.stop();
    const db = new Database(secured.db);
    expect(db.prepare("SELECT count(*) FROM networks WHERE name = 'green'").pluck().get()).toBe(0);
    expect(db.prepare("SELECT count(*) FROM audit").pluck().get()).toBe(before);
    db.close();
  });
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test("the audit trail is limited in number and age of entries", async () => {
  const everyMs = 20;
  const secured = await startSecured({
    retention: { audit: { maxAgeMs: Number.POSITIVE_INFINITY, maxEntries: 3 }, everyMs },
  });
  for (let i = 0; i < 6; i++) await secured.issue({ role: "viewer", note: `number ${i}` });
  const ids = async (): Promise<number[]> =>
    (await call(secured.admin, 200, "GET", "/v1/audit")).entries.map(({ id }: { id: number }) => id);
  await expect.poll(ids).toEqual([5, 6, 7]);
  await secured.stop();
  const again = await startController({
    insecure: false,
    db: secured.db,
    retention: { audit: { maxAgeMs: 1, maxEntries: 100 }, everyMs },
  });
  const read = async () => (await again.request("GET", "/v1/audit", undefined, bearer(secured.adminToken))).body;
  await expect.poll(async () => (await read()).entries).toEqual([]);
});
