// Tokens of a running controller while the store is busy.
import { expect, onTestFinished, test, vi } from "vitest";
import { TokenRegistry } from "../../controller/auth/token-registry.ts";
import { makeToken } from "../../controller/auth/tokens.ts";
import type { AccessStore } from "../../controller/store/access-store.ts";

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
