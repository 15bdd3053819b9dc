// A client made from /openapi.json by an existing generator, unmodified: it compiles under strict, and does an operator's work.
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { blockOf } from "../docs/blocks.ts";
import { startController } from "./harness.ts";

/** What a user would write with the generated types alone. It returns what it saw. */
const program = `
import { Api, ContentType, type Problem, type Vm } from "./client/nearmiss.ts";

export async function work(baseUrl: string) {
  const { v1 } = new Api({ baseUrl });
  await v1.putNetwork("blue", { vni: 100, subnets: ["10.20.1.0/24", "fd00:20::/64"], labels: { env: "prod" } });
  await v1.createHost({ name: "a", vtep: "192.0.2.1" });
  await v1.createHost({ name: "b", vtep: "192.0.2.2" });
  const made: Vm = (
    await v1.createVm({ name: "web-1", host: "a", interfaces: [{ network: "blue" }] }, {}, { headers: { "idempotency-key": "one" } })
  ).data;
  const read = await v1.getVm("web-1");
  const etag = read.headers.get("etag") ?? "";
  const patched: Vm = (
    await v1.patchVm(
      "web-1",
      { host: "b", labels: { tier: "web", old: null }, interfaces: { eth1: { network: "blue", port: "tap7" }, eth9: null } },
      { dryRun: false },
      { headers: { "if-match": etag }, type: ContentType.Json },
    )
  ).data;
  const page = (await v1.listVms({ label: "tier=web", limit: 1 })).data;
  const answer = (await v1.resolve({ vni: 100, ip: "10.20.1.2" })).data;
  const refused = await v1.createHost({ name: "b", vtep: "192.0.2.3" }).catch((response: { error: Problem }) => response.error);
  return { made, patched, listed: page.vms.map(({ name }) => name), answer, refused };
}
`;

test("the generated client compiles under strict, and does an operator's work", async () => {
  const controller = await startController();
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-client-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const command = blockOf("docs/api.md", "npx swagger-typescript-api")
    .replace("127.0.0.1:4788", controller.base)
    .replace("-o client", `-o ${join(directory, "client")}`);
  await generate(command.trim());
  expect(readdirSync(directory)).toEqual(["client"]);
  writeFileSync(join(directory, "work.ts"), program);
  const options =
    "--ignoreConfig --noEmit --allowImportingTsExtensions --strict --target es2022 --module esnext --moduleResolution bundler".split(
      " ",
    );
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "../../node_modules/typescript/bin/tsc"), ...options, join(directory, "work.ts")],
    { encoding: "utf8" },
  );
  expect(stdout).toBe("");
  expect(status).toBe(0);
  const { work } = await import(join(directory, "work.ts"));
  const { made, patched, listed, answer, refused } = await work(`http://${controller.base}`);
  expect(made.interfaces[0].ips).toEqual(["10.20.1.2", "fd00:20::2"]);
  expect(patched).toMatchObject({
    host: "b",
    labels: { tier: "web" },
    interfaces: [{ name: "eth0" }, { name: "eth1" }],
  });
  expect(listed).toEqual(["web-1"]);
  expect(answer).toMatchObject({ vm: "web-1", host: "b", vtep: "192.0.2.2" });
  expect(refused).toMatchObject({ type: "urn:nearmiss:problem:name-taken", status: 409 });
});

/** As the page has it, with the generator of this repository. */
function generate(command: string): Promise<void> {
  const [npx, ...args] = command.split(" ");
  return new Promise((resolve, reject) => {
    execFile(npx ?? "", args, { cwd: join(import.meta.dirname, "../..") }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stdout}\n${stderr}`)) : resolve(),
    );
  });
}
