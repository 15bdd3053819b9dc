// Tokens of a running controller while the store is busy.
import { expect, onTestFinished, test, vi } from "vitest";
import { TokenRegistry } from "../../controller/auth/token-registry.ts";
import { makeToken } from "../../controller/auth/tokens.ts";
import type { AccessStore } from "../../controller/store/access-store.ts";
import { StoreUnavailableError } from "../../controller/store/store.ts";

/** Tokens in memory, and a removal that waits until it is settled. */
async function withStore(roles: readonly ("admin" | "viewer")[]) {
  const by = { name: "the test", role: "admin", scope: "all" } as const;
  const made = roles.map((role) => makeToken({ role }, by, new Date()));
  let stored = made.map(({ token }) => token);
  let settle: (error?: Error) => void = () => {};
  const access: Partial<AccessStore> = {
    listTokens: async () => stored,
    foreignVersion: () => 0,
    noteUses: async () => {},
    removeToken: (id, _by, _time, spareLast) =>
      new Promise((resolve, reject) => {
        settle = (error) => {
          if (error) return reject(error);
          const admins = stored.filter(({ role }) => role === "admin");
          if (spareLast && admins.length === 1 && admins[0]?.id === id) return resolve("last-admin");
          stored = stored.filter((each) => each.id !== id);
          resolve("removed");
        };
      }),
  };
  const registry = await TokenRegistry.load({
    access: access as AccessStore,
    now: () => new Date(),
    onFatal: (error) => expect.unreachable(String(error)),
  });
  onTestFinished(() => registry.stop());
  return { registry, made, by, settle: (error?: Error) => settle(error) };
}

test("a revoked token is refused and its streams end before the store has removed it", async () => {
  const { registry, made, by, settle } = await withStore(["admin", "viewer"]);
  const [, viewer] = made;
  if (!viewer) throw new Error("two tokens");
  const identity = registry.find(viewer.secret);
  if (!identity) throw new Error("it is valid");
  const end = vi.fn();
  registry.hold(identity, { end });
  const revoked = registry.revoke(viewer.token.id, by, false);
  expect([registry.find(viewer.secret), end.mock.calls.length]).toEqual([undefined, 1]);
  settle();
  await revoked;
  expect(registry.find(viewer.secret)).toBeUndefined();
});

test("a token whose removal fails is valid again; the last admin's stays valid throughout", async () => {
  const { registry, made, by, settle } = await withStore(["admin", "viewer"]);
  const [admin, viewer] = made;
  if (!admin || !viewer) throw new Error("two tokens");
  const failed = registry.revoke(viewer.token.id, by, false);
  settle(new StoreUnavailableError("locked"));
  await expect(failed).rejects.toThrow(StoreUnavailableError);
  expect(registry.find(viewer.secret)).toBeDefined();
  const refused = registry.revoke(admin.token.id, by, false);
  expect(registry.find(admin.secret)).toBeDefined();
  settle();
  await expect(refused).rejects.toThrow(/last/);
  const forced = registry.revoke(admin.token.id, by, true);
  expect(registry.find(admin.secret)).toBeUndefined();
  settle();
  await forced;
});

test("a revocation from outside takes effect while uses of tokens wait to be stored", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const { token, secret } = makeToken(
    { role: "viewer" },
    { name: "the test", role: "admin", scope: "all" },
    new Date(),
  );
  let stored = [token];
  let finish = (): void => {};
  const noteUses = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
  const access = { listTokens: async () => stored, foreignVersion: () => stored.length, noteUses };
  const registry = await TokenRegistry.load({
    access: access as unknown as AccessStore,
    now: () => new Date(),
    onFatal: (error) => expect.unreachable(String(error)),
  });
  expect(registry.find(secret)).toMatchObject({ kind: "viewer" });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(noteUses).toHaveBeenCalledTimes(1);
  stored = [];
  await vi.advanceTimersByTimeAsync(1_000);
  expect(registry.find(secret)).toBeUndefined();
  finish();
  await registry.stop();
});
