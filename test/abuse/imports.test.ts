// Hostile imports: bodies that never end, many at once, and more than fits into memory. Other callers still import.
import { readdirSync, readlinkSync } from "node:fs";
import { type ClientRequest, request } from "node:http";
import { describe, expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, problemType, startSecured } from "../integration/harness.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const line = (more: object) =>
  `${JSON.stringify({ kind: "vm", host: "a", interfaces: [{ network: "blue", ips: [] }], ...more })}\n`;

/** A tenant's operator with a slow body that has begun; and an admin. */
async function attacked(uploads: object = {}) {
  const secured = await startSecured({ uploads });
  await populate(secured.admin);
  const issue = async (network: string) => (await secured.issue({ role: "operator", networks: [network] })).token;
  const [attacker, victim] = [await issue("blue"), await issue("blue")];
  const open: ClientRequest[] = [];
  /** An import whose body continues until it is ended. */
  const begin = (token: string, first: string | Buffer) => {
    const headers = { ...ndjson, authorization: `Bearer ${token}`, "transfer-encoding": "chunked" };
    const [host, port] = secured.base.split(":");
    const client = request({ host, port, method: "POST", path: "/v1/import", headers, agent: false });
    const answer = new Promise<{ status: number; text: string }>((resolve, reject) => {
      client.once("error", reject);
      client.once("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
    });
    answer.catch(() => {});
    client.write(first);
    open.push(client);
    return { client, answer };
  };
  const imports = async () =>
    Number(/^nearmiss_controller_imports (\d+)$/m.exec(await call(secured.admin, 200, "GET", "/metrics"))?.[1]);
  const underWay = (count: number) =>
    waitFor(async () => (await imports()) === count, { what: `${count} imports to be under way` });
  const importBy = (controller: Controller, body: string) => controller.request("POST", "/v1/import", body, ndjson);
  return { ...secured, attacker, victim, begin, underWay, importBy };
}

/** Files that imports have open in this process, which is the controller's. */
const spoolFiles = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      // O_TMPFILE of open(2) gives a number in place of a name.
      return /\/(#\d+|nearmiss-import-\S+) \(deleted\)$/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }).length;

describe("an import whose body does not end", () => {
  test("does not block other imports", async () => {
    const { attacker, victim, as, admin, begin, underWay, importBy } = await attacked();
    const slow = begin(attacker, line({ name: "slow" }));
    await underWay(1);
    expect((await importBy(as(victim), line({ name: "v" }))).status).toBe(200);
    expect((await importBy(admin, line({ name: "w" }))).status).toBe(200);
    expect((await importBy(as(attacker), line({ name: "x" }))).status).toBe(200);
    slow.client.end();
    expect((await slow.answer).status).toBe(200);
    await underWay(0);
  });

  test("is one of the two that a caller may have, whatever others do", async () => {
    const { attacker, victim, as, begin, underWay, importBy } = await attacked();
    const slow = [begin(attacker, line({ name: "s1" })), begin(attacker, line({ name: "s2" }))];
    await underWay(2);
    const third = await importBy(as(attacker), line({ name: "x" }));
    expect([third.status, problemType(third.body)]).toEqual([429, "too-many-requests"]);
    expect((await importBy(as(victim), line({ name: "v" }))).status).toBe(200);
    for (const { client } of slow) client.destroy();
    await underWay(0);
    expect((await importBy(as(attacker), line({ name: "x" }))).status).toBe(200);
    await call(as(attacker), 404, "GET", "/v1/vms/s1");
  });

  test("leaves no file behind, and uses no more disk than the limit for all imports", async () => {
    const { attacker, victim, as, admin, begin, underWay, importBy } = await attacked({
      memoryBytes: 1_000,
      totalBytes: 200_000,
    });
    const slow = begin(attacker, line({ name: "s", description: "x".repeat(1_000) }).repeat(100));
    await waitFor(() => spoolFiles() === 1, { what: "the body to be in a file" });
    const large = await importBy(as(victim), "\n".repeat(150_000));
    expect([large.status, problemType(large.body)]).toEqual([503, "unavailable"]);
    expect((await importBy(as(victim), line({ name: "v" }))).status).toBe(200);
    expect((await importBy(admin, `${"\n".repeat(150_000)}${line({ name: "w" })}`)).status).toBe(200);
    slow.client.destroy();
    await underWay(0);
    await waitFor(() => spoolFiles() === 0, { what: "the file to be gone" });
    expect((await importBy(as(victim), "\n".repeat(150_000))).status).toBe(200);
  });
});

describe("a large import", () => {
  test("by a limited token has a limit of its own", async () => {
    const { attacker, as, admin, importBy } = await attacked({ maxNarrowedBytes: 10_000, maxBytes: 20_000 });
    const body = (bytes: number) => `${line({ name: "x" })}${"\n".repeat(bytes)}`;
    const refused = await importBy(as(attacker), body(10_000));
    expect([refused.status, problemType(refused.body)]).toEqual([413, "body-too-large"]);
    expect(refused.body.detail).toContain("at most 10000 bytes");
    expect((await importBy(as(attacker), body(9_000))).status).toBe(200);
    expect((await importBy(admin, body(10_000))).status).toBe(200);
    expect((await importBy(admin, body(20_000))).status).toBe(413);
  });

  test("from a file equals one from memory, also where a character spans two parts", async () => {
    const { admin, importBy } = await attacked({ memoryBytes: 100 });
    const text = "für jede Zeile ein Ümlaut, 漢字 und 🙂 ".repeat(20);
    const body = Array.from({ length: 500 }, (_, i) => line({ name: `x-${i}`, description: text })).join("");
    expect((await importBy(admin, body)).status).toBe(200);
    for (const i of [0, 249, 499]) {
      expect((await call(admin, 200, "GET", `/v1/vms/x-${i}`)).description).toBe(text);
    }
    await waitFor(() => spoolFiles() === 0, { what: "the file to be gone" });
  });

  test("in which every line is invalid is checked only up to a thousand faults", async () => {
    const { attacker, as, importBy } = await attacked();
    const lines = Array.from({ length: 3_000 }, (_, i) => i);
    const form = await importBy(as(attacker), lines.map(() => "{}\n").join(""));
    expect([form.status, form.body.errors.length]).toEqual([422, 1_000]);
    const foreign = lines.map((i) =>
      line({ name: `x-${i}`, interfaces: [{ network: "red", mac: "52:54:00:00:00:09", ips: [] }] }),
    );
    const rules = await importBy(as(attacker), foreign.join(""));
    expect([rules.status, rules.body.errors.length]).toEqual([422, 1_000]);
    expect(rules.body.detail).toBe(
      "nothing was changed: at least 1000 lines are refused; after 1000 faults the rest was not looked at",
    );
  });
});
