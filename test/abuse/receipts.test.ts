// All callers share one bounded store of idempotency keys: no caller evicts the keys of another.
import { expect, test } from "vitest";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { receiptLimits } from "../../controller/store/store.ts";
import { call, populate, startSecured } from "../integration/harness.ts";
import { loadAll } from "../support/stored.ts";

test("a tenant that fills the room for idempotency keys evicts no other tenant's key, also after a restart", async () => {
  const first = await startSecured();
  await populate(first.admin);
  const [attacker, victim] = [
    await first.issue({ role: "operator", networks: ["red"] }),
    await first.issue({ role: "operator", networks: ["blue"] }),
  ];
  const key = (name: string) => ({ "idempotency-key": name });
  const post = (controller: typeof first, token: string, name: string, network: string) =>
    controller.as(token).request("POST", "/v1/vms", { name, host: "a", interfaces: [{ network, ips: [] }] }, key(name));
  expect((await post(first, victim.token, "mine", "blue")).status).toBe(201);
  await first.stop();

  // Ten thousand requests of the attacker's, as the controller has written them.
  const store = openSqliteStore(first.db);
  const receipts = Array.from({ length: receiptLimits.count }, (_, i) => ({
    key: `token ${attacker.id} old-${i}`,
    fingerprint: "f",
    atMs: Date.now(),
    outcome: "{}",
  }));
  await store.commit([], receipts);
  await store.close();

  const second = await startSecured({ db: first.db });
  for (let i = 0; i < 20; i++) expect((await post(second, attacker.token, `new-${i}`, "red")).status).toBe(201);
  const again = await post(second, victim.token, "mine", "blue");
  expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
  await call(second.as(victim.token), 200, "PATCH", "/v1/vms/mine", {
    description: "a commit takes along what is to go",
  });
  await second.stop();

  const third = await startSecured({ db: first.db });
  expect((await post(third, victim.token, "mine", "blue")).headers.get("idempotency-replayed")).toBe("true");
  expect((await post(third, attacker.token, "new-19", "red")).headers.get("idempotency-replayed")).toBe("true");
  await third.stop();
  const kept = openSqliteStore(first.db);
  expect((await loadAll(kept)).receipts.length).toBeLessThanOrEqual(receiptLimits.count);
  await kept.close();
});
