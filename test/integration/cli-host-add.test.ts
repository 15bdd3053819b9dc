// `nearmiss host add` typed for a host that is there already, and where there are no join lines: nothing of the host is changed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cleanEnvironment, runNearmiss } from "../support/binary.ts";
import { startEnrolling } from "../support/enrolled.ts";
import { startController } from "./harness.ts";

test("host add registers a host, and leaves one that is registered as it is", async () => {
  const controller = await startEnrolling();
  const home = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  writeFileSync(join(home, "token"), controller.adminToken, { mode: 0o600 });
  writeFileSync(join(home, "ca.pem"), controller.trust());
  const env = {
    ...cleanEnvironment(home),
    NEARMISS_CONTROLLER: controller.url.origin,
    NEARMISS_CA: join(home, "ca.pem"),
    NEARMISS_TOKEN_FILE: join(home, "token"),
  };
  const add = (...args: string[]) => runNearmiss(["host", "add", ...args], { env });

  expect(await add("c", "--vtep", "fd00:99::3")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^NEARMISS_JOIN=/),
  });
  const fields = { vtep: "fd00:99::3", port: 8472, labels: { rack: "r7" }, description: "third", down: true };
  await controller.call(200, "PATCH", "/v1/hosts/c", fields);
  // The same address in another form.
  expect(await add("c", "--vtep", "FD00:0099::3")).toMatchObject({ status: 0 });
  expect(await controller.call(200, "GET", "/v1/hosts/c")).toMatchObject(fields);

  const other = await add("c", "--vtep", "fd00:99::4");
  expect(other).toMatchObject({ status: 4, stdout: "" });
  expect(other.stderr).toContain(
    "host c is registered with VTEP fd00:99::3, not fd00:99::4: nothing was changed. `nearmiss host update c --vtep fd00:99::4` changes it",
  );
  expect(await controller.call(200, "GET", "/v1/hosts/c")).toMatchObject(fields);
});

test("without TLS host add says that the host is registered, and why it gets no join line", async () => {
  const controller = await startController();
  const env = { ...cleanEnvironment(tmpdir()), NEARMISS_CONTROLLER: `http://${controller.base}` };
  const { status, stderr } = await runNearmiss(["host", "add", "c", "--vtep", "192.0.2.3"], { env });
  expect(status).toBe(4);
  expect(stderr).toContain("host c is registered. There is no join line: hosts enrol over TLS");
  expect((await controller.request("GET", "/v1/hosts/c")).status).toBe(200);
  const again = await runNearmiss(["host", "add", "c"], { env });
  expect(again.stderr).toMatch(/^nearmiss: hosts enrol over TLS/);
});
