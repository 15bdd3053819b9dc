// A machine that boots with systemd, over an overlay of this one's files, in a namespace of a lab.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../testkit/lab/command.ts";
import type { Namespace, Spawned } from "../../testkit/lab/namespace.ts";
import { repositoryRoot } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

/** A service with DynamicUser= has a /tmp of its own, where a clone may be. */
const installed = "/opt/nearmiss";

export class Booted {
  private constructor(
    private readonly nspawn: Spawned,
    /** systemd's, seen from here. */
    private readonly pid: number,
  ) {}

  /** @param directory of its own. @param files by their path. Only the units among them are wanted. */
  static async start(where: Namespace, directory: string, files: Readonly<Record<string, string>>): Promise<Booted> {
    const extra = join(directory, "files");
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(extra, path)), { recursive: true });
      writeFileSync(join(extra, path), text);
    }
    const root = join(directory, "root");
    mkdirSync(root);
    const units = Object.keys(files).flatMap((path) => /\/([^/]+\.service)$/.exec(path)?.[1] ?? []);
    const script = `set -e
      mount --make-rprivate /
      mount -t tmpfs tmpfs ${directory}
      mkdir ${root} ${directory}/upper ${directory}/work
      mount -t overlay overlay -o lowerdir=/,upperdir=${directory}/upper,workdir=${directory}/work ${root}
      rm -rf ${root}/etc/systemd/system/*.wants ${root}/usr/local/bin/nearmiss
      cp -r /proc/self/fd/9/. ${root}
      ln -s ${installed}/dist/bin/nearmiss ${root}/usr/local/bin/nearmiss
      systemctl --root=${root} enable ${units.join(" ")}
      exec 9<&-
      exec systemd-nspawn --register=no --keep-unit --quiet --capability=CAP_NET_ADMIN -M ${where.namespace} \\
        --network-namespace-path=/run/netns/${where.namespace} -D ${root} --bind-ro=${repositoryRoot()}:${installed} --console=pipe -b`;
    // Not inside the namespace: `ip netns exec` hides the control groups that systemd needs.
    const nspawn: Spawned = spawn("unshare", ["-m", "bash", "-c", `exec 9<${extra}; ${script}`], { stdio: "pipe" });
    nspawn.stdin.end();
    let said = "";
    for (const stream of [nspawn.stdout, nspawn.stderr]) stream.on("data", (data) => (said += String(data)));
    const booted = await waitFor(
      async () => {
        const machine = new Booted(nspawn, firstProcess(nspawn.pid ?? 0));
        const state = await machine.exec("sh", "-c", "systemctl is-system-running || true");
        return /^(?:running|degraded)/.test(state) && machine;
      },
      { what: "systemd to have started", deadlineMs: 60_000, everyMs: 200 },
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${said}`);
    });
    return booted;
  }

  exec(...command: [string, ...string[]]): Promise<string> {
    return run(["nsenter", "-t", `${this.pid}`, "-m", "-u", "-i", "-n", "-p", "--", ...command]);
  }

  /** Properties of a unit. */
  async show(unit: string, ...properties: string[]): Promise<Record<string, string>> {
    const text = await this.exec("systemctl", "show", unit, ...properties.map((name) => `--property=${name}`));
    return Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    );
  }

  /** Resolves when all its processes have ended. */
  async stop(): Promise<void> {
    if (this.nspawn.exitCode !== null) return;
    const ended = once(this.nspawn, "close");
    process.kill(this.pid, "SIGKILL");
    await ended;
  }
}

/** systemd below nspawn. @throws Error before it runs */
function firstProcess(nspawn: number): number {
  const children = readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, "utf8").trim().split(" ").map(Number);
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8") === "systemd\n");
  if (found === undefined) throw new Error(`no systemd among ${children.join(" ")}`);
  return found;
}
