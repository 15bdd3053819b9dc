// Scripts, settings and programs of pages that are no sequence of one shell: each as it is printed, against a controller with TLS, an
// operator's token and agents that confirm.
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { follow } from "../integration/fleet.ts";
import { binary, cleanEnvironment, runNearmiss } from "../support/binary.ts";
import { ControllerProcess, runCommand } from "../support/controller-process.ts";
import { startEnrolling } from "../support/enrolled.ts";
import { blockOf } from "./blocks.ts";
import { missingCommands } from "./page-run.ts";

const isSkipped = missingCommands().length > 0 && process.env.CI !== "true";

function temporaryHome(): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "bin"));
  symlinkSync(binary, join(directory, "bin", "nearmiss"));
  return directory;
}

/** Ends where one of its commands fails. */
async function runScript(home: string, script: string, env: Readonly<Record<string, string>> = {}) {
  const shell = spawn("bash", ["-euc", `exec 2>&1\n${script}`], {
    cwd: home,
    env: { ...cleanEnvironment(home), ...env, PATH: `${join(home, "bin")}:${process.env.PATH}` },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  shell.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const status = await new Promise<number | null>((done) => shell.once("close", done));
  return { status, text };
}

test.skipIf(isSkipped)("README.md: the commands for a cluster", async () => {
  const controller = await startEnrolling();
  const home = temporaryHome();
  const interfaces = (n: number) => [{ network: "blue", mac: `52:54:00:00:00:0${n}`, ips: [`10.20.1.${n}`] }];
  await controller.call(201, "PUT", "/v1/vms/web-1", { host: "a", labels: { tier: "web" }, interfaces: interfaces(1) });
  await controller.call(201, "PUT", "/v1/vms/db-1", { host: "b", interfaces: interfaces(2) });
  for (const host of ["a", "b"]) follow(await controller.agent(await controller.enrol(host)).connect());
  const { token } = await controller.call(201, "POST", "/v1/tokens", { role: "operator" });
  writeFileSync(join(home, "token"), token, { mode: 0o600 });
  writeFileSync(join(home, "ca.pem"), controller.trust());
  writeFileSync(join(home, "fleet.yaml"), "networks:\n  green:\n    vni: 200\n    subnets: [10.30.1.0/24]\n");
  const env = { NEARMISS_CONTROLLER: controller.url.origin, NEARMISS_CA: "ca.pem", NEARMISS_TOKEN_FILE: "token" };
  // Without a terminal `apply` asks for --yes.
  const script = blockOf("README.md", "nearmiss vm list --label").replace(
    "apply -f fleet.yaml ",
    "apply -f fleet.yaml --yes ",
  );
  const { status, text } = await runScript(home, script, env);
  expect({ status, text }).toMatchObject({ status: 0 });
  expect(text).toMatch(/"name": ?"web-1"/);
  expect(text).toMatch(/web-1 .*b/);
  expect(text).toMatch(/green/);
  expect(await controller.call(200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "b" });
  expect(await controller.call(200, "GET", "/v1/networks/green")).toMatchObject({ vni: 200 });
});

test.skipIf(isSkipped)("docs/backup.md: the line for cron keeps two weeks, with the keys encrypted", async () => {
  const home = temporaryHome();
  const [databases, backups] = [join(home, "databases"), join(home, "backups")];
  for (const path of [databases, backups]) mkdirSync(path);
  const db = join(databases, "nearmiss.db");
  await ControllerProcess.start(db, 0, ["--tls", "self"]);
  const recipient = await identityToRecipient(await generateIdentity());
  const old = join(backups, "nearmiss-2020-01-01.db");
  for (const path of [old, `${old}.sha256`]) {
    writeFileSync(path, "");
    utimesSync(path, new Date("2020-01-01"), new Date("2020-01-01"));
  }
  const line = blockOf("docs/backup.md", "nearmiss backup --db")
    .replaceAll("/var/lib/nearmiss", databases)
    .replaceAll("/var/backups", backups)
    .replace("age1…", recipient);
  const { status, text } = await runScript(home, line);
  expect({ status, text }).toMatchObject({ status: 0 });
  const kept = readdirSync(backups);
  expect(kept.sort()).toEqual([
    expect.stringMatching(/^nearmiss-\d{4}-\d\d-\d\d\.db$/),
    expect.stringMatching(/\.sha256$/),
  ]);
  const restored = await runCommand("restore", join(backups, kept[0] ?? ""), "--db", join(home, "other.db"));
  expect(restored.output).toMatch(/--identity/);
});

test("docs/cli.md: the file of settings", async () => {
  const home = temporaryHome();
  const directory = join(home, ".config", "nearmiss");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "config.toml"), blockOf("docs/cli.md", "controller = "));
  writeFileSync(join(directory, "admin-token"), "nm_secret\n");
  chmodSync(join(directory, "admin-token"), 0o600);
  const { status, stdout, stderr } = await runNearmiss(["config"], { env: cleanEnvironment(home) });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("https://ctl.example.org:4788");
  for (const file of ["admin-token", "ca.pem"]) expect(stdout).toContain(join(directory, file));
});

test.skipIf(isSkipped)("docs/event-stream.md: the complete consumer survives a restart, and curl resumes", async () => {
  const home = temporaryHome();
  symlinkSync(resolve(import.meta.dirname, "../../node_modules"), join(home, "node_modules"));
  writeFileSync(join(home, "follow.mjs"), blockOf("docs/event-stream.md", "// follow.mjs"));
  const db = join(home, "nearmiss.db");
  const start = async (listening: number) => {
    const running = ControllerProcess.launch(db, listening, ["--insecure"], onTestFinished);
    const { port } = await running.waitForLog(({ msg }) => msg === "listening", "its log to say that it listens");
    return { running, port: Number(port) };
  };
  const { running, port } = await start(0);
  const url = `http://127.0.0.1:${port}`;
  const put = (name: string, vni: number) =>
    fetch(`${url}/v1/networks/${name}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ vni, subnets: [`10.${vni}.0.0/24`] }),
    }).then(({ status }) => expect(status).toBe(201));
  await put("blue", 100);
  const consumer = spawn(process.execPath, ["follow.mjs", url], { cwd: home, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void consumer.kill());
  let seen = "";
  consumer.stdout.setEncoding("utf8").on("data", (part: string) => {
    seen += part;
  });
  await waitFor(() => seen.includes("snapshot of revision 1: 1 resources"), { what: "the snapshot" });
  await put("green", 101);
  await waitFor(() => /nearmiss\.network\.created networks\/green/.test(seen), { what: `green in ${seen}` });
  await running.stop("SIGTERM");
  await start(port);
  await put("red", 102);
  await waitFor(() => /networks\/red/.test(seen), { what: `red in ${seen}` });
  expect(seen.match(/networks\/green/g)).toHaveLength(1);

  const [head = ""] = (await (await fetch(`${url}/v1/export`)).text()).split("\n");
  const { epoch } = JSON.parse(head) as { epoch: string };
  const line = blockOf("docs/event-stream.md", "curl -sN")
    .replace("http://127.0.0.1:4788", url)
    .replace("curl -sN", "curl -sN -m 2")
    .replace(/[0-9a-f-]{36}\/17\.3/, `${epoch}/1`);
  const { text } = await runScript(home, `${line.trim()} || true`);
  expect(text).toMatch(/networks\/green[\s\S]*networks\/red/);
  expect(text).not.toMatch(/networks\/blue/);
});
