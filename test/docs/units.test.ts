// The units of docs/operators.md and docs/enrolment.md, read by systemd itself. `npm run test:real` boots them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { describeKernel } from "../support/kernel.ts";
import { blockOf } from "./blocks.ts";

const isSkipped = spawnSync("systemd-analyze", ["--version"]).error !== undefined && process.env.CI !== "true";

/** What systemd says of these units, on a machine that has `/usr/local/bin/nearmiss`. */
function verify(units: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(units)) writeFileSync(join(directory, name), text);
  const program = "/usr/local/bin/nearmiss";
  const script = `mount -t tmpfs tmpfs /usr/local/bin && printf '#!/bin/sh\\n' > ${program} && chmod +x ${program} &&
    exec systemd-analyze verify ${Object.keys(units)
      .map((name) => join(directory, name))
      .join(" ")}`;
  const { stdout, stderr, status } = spawnSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
  return `${stdout}${stderr}${status === 0 ? "" : `status ${status}`}`;
}

describeKernel("units of systemd", () => {
  const controller = blockOf("docs/operators.md", "# /etc/systemd/system/nearmiss-controller.service");
  const agent = blockOf("docs/operators.md", "# /etc/systemd/system/nearmiss-agent.service");
  const joining = blockOf("docs/enrolment.md", "[Service]").replaceAll("…", "0");

  test.skipIf(isSkipped)("have no section, key or value that systemd does not know", () => {
    const units = { "nearmiss-controller.service": controller, "nearmiss-agent.service": agent };
    expect(verify({ ...units, "nearmiss-join.service": joining })).toBe("");
    const misspelt = controller.replace("DynamicUser", "DynamicUsers");
    expect(verify({ "nearmiss-controller.service": misspelt })).toMatch(/Unknown key/);
  });
});
