// The requests of docs/moves.md, run by a shell in the page's set-up: TLS with the controller's own CA, an operator's token, and three
// enrolled hosts whose agents confirm.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { follow } from "../integration/fleet.ts";
import { startEnrolling } from "../support/enrolled.ts";
import { missingCommands } from "./page-run.ts";

interface Block {
  readonly kind: string;
  readonly text: string;
}

function blocksOfPage(): Block[] {
  const page = readFileSync(join(import.meta.dirname, "../../docs/moves.md"), "utf8");
  return [...page.matchAll(/^```(sh|json)\n([\s\S]*?)^```$/gm)].map(([, kind = "", text = ""]) => ({ kind, text }));
}

/** Hosts a, b and c, with a VM each; web-1 is on a. @returns a directory with `header` and `ca.pem` */
async function setUp() {
  const controller = await startEnrolling();
  await controller.call(201, "PUT", "/v1/hosts/c", { vtep: "192.0.2.3" });
  for (const [i, host] of ["a", "b", "c"].entries()) {
    const interfaces = [{ network: "blue", mac: `52:54:00:00:00:0${i + 1}`, ips: [`10.20.1.${i + 1}`] }];
    await controller.call(201, "PUT", `/v1/vms/web-${i + 1}`, { host, interfaces });
    follow(await controller.agent(await controller.enrol(host)).connect());
  }
  const { token } = await controller.call(201, "POST", "/v1/tokens", { role: "operator" });
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "header"), `authorization: Bearer ${token}\n`);
  writeFileSync(join(directory, "ca.pem"), controller.trust());
  // Stands for the hypervisor's command, which the page wraps.
  writeFileSync(join(directory, "qm"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  return { controller, directory };
}

function runShell(directory: string, script: string): Promise<{ status: number | null; text: string }> {
  const env = { PATH: `${directory}:${process.env.PATH}` };
  const shell = spawn("bash", ["-ec", script], { cwd: directory, env, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  shell.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return new Promise((resolve) => shell.once("close", (status) => resolve({ status, text })));
}

const isSkipped = (missingCommands().length > 0 || spawnSync("bash", ["--version"]).error) && process.env.CI !== "true";

test.skipIf(isSkipped)(
  "docs/moves.md shows requests that work as they are written, over TLS with a token",
  async () => {
    const { controller, directory } = await setUp();
    const blocks = blocksOfPage();
    const [settings, ...others] = blocks;
    const shell = settings?.text.replace(/^NEARMISS=.*$/m, `NEARMISS=${controller.url.origin}`) ?? "";
    let answers: Record<string, unknown>[] = [];
    for (const { kind, text } of others) {
      if (kind === "json") {
        // Shown are the fields of the answer: the figures are of another run.
        const shown = text
          .trim()
          .split(/\n(?=\{)/)
          .map((line) => JSON.parse(line) as Record<string, unknown>);
        const last = answers.at(-1) ?? {};
        for (const field of Object.keys(shown.at(-1) ?? {})) expect(last, text).toHaveProperty(field);
      } else if (!text.startsWith("#!")) {
        // As the page says at its beginning.
        if (text.includes("/prepare"))
          await controller.call(200, "POST", "/v1/vms/web-1/move", { host: "a", wait: true });
        const { status, text: printed } = await runShell(directory, `${shell}\n${text}`);
        expect({ status, printed }, text).toMatchObject({ status: 0 });
        answers = printed
          .split(/\n|(?<=\})(?=\{)/)
          .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : []));
      }
    }
    expect((await controller.ask({ token: controller.adminToken }, "GET", "/v1/hosts/c")).status).toBe(404);
  },
);
