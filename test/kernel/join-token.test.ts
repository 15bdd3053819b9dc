// The join token is passed in the environment. Once the agent has read it, it is not visible in its processes, and the
// programs that the agent starts get nothing of its environment but the path.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../testkit/lab/host.ts";
import { createLab, type Lab, whyNoLab } from "../../testkit/lab/lab.ts";
import { processesIn } from "../../testkit/lab/namespace.ts";

describe.skipIf(whyNoLab() !== undefined)("an agent that was given a join token", () => {
  let lab: Lab;
  let environments: string;
  const { PATH: path = "" } = process.env;

  const environmentsOf = ({ namespace }: Host): string[] =>
    processesIn([namespace]).flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/environ`, "utf8")];
      } catch {
        // It has ended: a run of nft.
        return [];
      }
    });

  beforeAll(async () => {
    lab = await createLab({ hosts: 2, underlay: 4, secured: true });
    await lab.startController();
    for (const host of lab.hosts) await host.enrol();
    environments = join(lab.directory, "environments");
    const programs = join(lab.directory, "programs");
    for (const directory of [environments, programs]) mkdirSync(directory);
    const nft = (await lab.host("a").exec(["sh", "-c", "command -v nft"])).trim();
    writeFileSync(join(programs, "nft"), `#!/bin/sh\nenv > ${environments}/$$\nexec ${nft} "$@"\n`, { mode: 0o755 });
    process.env.PATH = `${programs}:${path}`;
    process.env.NEARMISS_TEST_SECRET = "of-the-operator";
    return async () => {
      process.env.PATH = path;
      delete process.env.NEARMISS_TEST_SECRET;
      await lab.remove();
    };
  });

  test("does not expose it while it waits for a controller that does not answer", async () => {
    const host = lab.host("b");
    host.startAgent({ extraArgs: ["--controller", "https://127.0.0.1:1"] });
    await host.agent.waitForLog(({ msg }) => msg.startsWith("not enrolled yet"));
    const shown = environmentsOf(host);
    // Its name is there, so the probe would have found its value.
    expect(shown.filter((text) => text.includes("NEARMISS_JOIN=\0"))).toHaveLength(1);
    expect(shown.filter((text) => /nmj_/.test(text))).toEqual([]);
    expect(shown.filter((text) => text.includes("of-the-operator"))).toHaveLength(1);
  });

  test("enrols with it, and does not pass it to the programs that it starts", async () => {
    const host = lab.host("a");
    host.startAgent({ extraArgs: ["--anti-spoof"] });
    await host.agent.waitForLog(({ msg }) => msg.startsWith("enrolled"));
    await host.agent.waitForLog(({ msg }) => msg === "anti-spoof rules loaded");
    const files = readdirSync(environments);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const names = readFileSync(join(environments, file), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split("=")[0]);
      // The last three are the shell's own.
      expect(["LC_ALL", "PATH", "PWD", "SHLVL", "_"], file).toEqual(expect.arrayContaining(names));
      expect(names).toContain("PATH");
    }
    const shown = environmentsOf(host);
    // Of the agent, and of a child that has not become nft yet.
    expect(shown.some((text) => text.includes("NEARMISS_JOIN=\0"))).toBe(true);
    expect(shown.filter((text) => /nmj_/.test(text))).toEqual([]);
  });
});
