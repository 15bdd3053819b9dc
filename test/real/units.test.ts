// The units of docs/operators.md and docs/enrolment.md on machines that boot with systemd: a controller without privileges, and an agent that
// enrols with a token of systemd's credentials.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createLab } from "../../testkit/lab/lab.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { blockOf } from "../docs/blocks.ts";
import { describeKernel } from "../support/kernel.ts";
import { Booted } from "./booted.ts";

const unit = (name: string): string => blockOf("docs/operators.md", `# /etc/systemd/system/nearmiss-${name}.service`);
const fileOf = (name: string): string => `etc/systemd/system/nearmiss-${name}.service`;
const program = "/usr/local/bin/nearmiss";

describeKernel("the units of the pages", () => {
  test("run a controller and an agent, which come back after a kill and stop with status 0", async () => {
    const lab = await createLab({ hosts: ["a"], underlay: 4 });
    onTestFinished(() => lab.remove());
    const home = (name: string) => {
      mkdirSync(join(lab.directory, name));
      return join(lab.directory, name);
    };
    const controller = await Booted.start(lab.controllerNamespace, home("controller"), {
      [fileOf("controller")]: unit("controller"),
    });
    onTestFinished(() => controller.stop());
    const db = "/var/lib/nearmiss/nearmiss.db";
    const operator = (...args: string[]) =>
      controller.exec(
        "env",
        "NEARMISS_CONTROLLER=https://192.0.2.250:4788",
        `NEARMISS_CA=${db}.pki/ca.pem`,
        `NEARMISS_TOKEN_FILE=${db}.admin-token`,
        program,
        ...args,
      );
    await waitFor(() => operator("status"), { what: "the controller", everyMs: 200 });
    expect(await controller.show("nearmiss-controller", "ActiveState", "User")).toMatchObject({
      ActiveState: "active",
    });
    const pid = (await controller.show("nearmiss-controller", "MainPID")).MainPID ?? "";
    expect(await controller.exec("stat", "-c", "%u", `/proc/${pid}`)).not.toBe("0\n");

    const line = (await operator("host", "add", "a", "--vtep", "192.0.2.1")).trim();
    const [, token = "", hash = ""] = /NEARMISS_JOIN=(\S+) .*--ca-hash sha256:(\S+)/.exec(line) ?? [];
    expect(token).not.toBe("");
    // The page's section in place of the unit's own command.
    const joining = blockOf("docs/enrolment.md", "[Service]").replace("…", hash).replace("[Service]\n", "");
    const host = await Booted.start(lab.host("a"), home("a"), {
      [fileOf("agent")]: unit("agent").replace(/^ExecStart=.*\n/m, joining),
      "etc/nearmiss/join": token,
    });
    onTestFinished(() => host.stop());
    const isConnected = async () =>
      /connected/.test(await operator("host", "get", "a")) && !/disconnected/.test(await operator("host", "get", "a"));
    await waitFor(isConnected, { what: "the host to connect", everyMs: 200 });
    expect((await host.show("nearmiss-agent", "Environment")).Environment).toBe("");

    // From then on the unit without a token.
    await host.exec("sh", "-c", `rm /etc/nearmiss/join && cat > /${fileOf("agent")} <<'E'\n${unit("agent")}E`);
    await host.exec("systemctl", "daemon-reload");
    await host.exec("systemctl", "restart", "nearmiss-agent");
    await waitFor(isConnected, { what: "the host to connect again", everyMs: 200 });
    await operator("network", "create", "blue", "--vni", "100", "--subnet", "10.20.1.0/24");
    await operator("vm", "create", "web-1", "--host", "a", "--interface", "blue", "--wait");
    expect(await host.exec("ip", "-br", "link", "show", "nmb100")).toContain("nmb100");

    for (const [machine, name] of [
      [host, "agent"],
      [controller, "controller"],
    ] as const) {
      const before = (await machine.show(`nearmiss-${name}`, "MainPID")).MainPID ?? "";
      await machine.exec("kill", "-9", before);
      await waitFor(
        async () => {
          const { MainPID, ActiveState } = await machine.show(`nearmiss-${name}`, "MainPID", "ActiveState");
          return ActiveState === "active" && MainPID !== before;
        },
        { what: `the ${name} to be started again`, everyMs: 100 },
      );
    }
    await waitFor(isConnected, { what: "both to be back", everyMs: 200 });
    for (const [machine, name] of [
      [host, "agent"],
      [controller, "controller"],
    ] as const) {
      await machine.exec("systemctl", "stop", `nearmiss-${name}`);
      expect(await machine.show(`nearmiss-${name}`, "Result", "ExecMainStatus")).toEqual({
        Result: "success",
        ExecMainStatus: "0",
      });
    }
  });
});
