// What `npm run dev` runs: a controller with two hosts and two guests on each, or the controller alone.
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLab, type Lab } from "../lab/lab.ts";
import { LabProcess } from "../lab/process.ts";
import { controllerPort } from "../lab/programs.ts";
import { type Forward, forward } from "./forward.ts";
import { agentFolders, controllerFolders, type Program } from "./programs.ts";

export interface Stage {
  /** In the order in which they start. */
  readonly programs: readonly Program[];
  /** Of the controller, on loopback; valid once that has started. */
  readonly url: string;
  /** Files for operators: the admin token, and the CA where the controller serves HTTPS. */
  readonly files: { readonly token: string; readonly ca?: string };
  /** Registers networks and VMs, and boots the guests. @returns lines that say how to enter them */
  populate(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

const networks = [
  { name: "blue", vni: 100, byte: "b1" },
  { name: "red", vni: 200, byte: "ed" },
] as const;
const subnet = "10.20.1.0/24";

/** Needs root. @param port of the controller on loopback, 0: a free one */
export async function labStage(port: number): Promise<Stage> {
  const lab = await createLab({ hosts: 2, underlay: 4, secured: true });
  let way: Forward;
  try {
    const { controllerNamespace, controllerAddress: address } = lab;
    way = await forward(port, { namespace: controllerNamespace.namespace, address, port: controllerPort });
  } catch (error) {
    await lab.remove();
    throw error;
  }
  // The first is the one that the line for hosts names.
  const names = [lab.controllerAddress, "127.0.0.1", "localhost"].flatMap((name) => ["--name", name]);
  const controller: Program = {
    name: "controller",
    folders: controllerFolders,
    start: () => lab.startController({ extraArgs: names }),
  };
  const agents = lab.hosts.map((host): Program => {
    let enrolled: Promise<string> | undefined;
    return {
      name: `agent ${host.name}`,
      folders: agentFolders,
      start: async () => {
        enrolled ??= host.enrol();
        await enrolled;
        return host.startAgent({ logLevel: "info" });
      },
    };
  });
  return {
    programs: [controller, ...agents],
    url: `https://127.0.0.1:${way.port}`,
    files: lab.operatorFiles,
    populate: () => populate(lab),
    remove: async () => {
      await way.close();
      await lab.remove();
    },
  };
}

async function populate(lab: Lab): Promise<string[]> {
  const call = async (method: string, path: string, body: object): Promise<void> => {
    const reply = await lab.api(method, path, body);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
  };
  for (const { name, vni } of networks) await call("PUT", `/v1/networks/${name}`, { vni, subnets: [subnet] });
  const lines: string[] = [];
  for (const [index, host] of lab.hosts.entries()) {
    for (const { name: network, vni, byte } of networks) {
      const name = `${network}-${host.name}`;
      const [ip, mac] = [`10.20.1.${index + 1}`, `52:54:00:${byte}:00:0${index + 1}`];
      await call("POST", "/v1/vms?wait=ready", { name, host: host.name, interfaces: [{ network, mac, ips: [ip] }] });
      const guest = await lab.host(host.name).addGuest({ name, vni, mac, ips: [`${ip}/24`] });
      lines.push(`ip netns exec ${guest.namespace} ping 10.20.1.${lab.hosts.length - index}`);
    }
  }
  return lines;
}

/** Needs no root: a controller over plain HTTP on loopback, with tokens, and no hosts. @param program `bin/nearmiss.js` */
export async function controllerStage(port: number, program: string): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), "nearmiss-dev-"));
  const db = join(directory, "controller.db");
  let current: LabProcess | undefined;
  let listening = port;
  // The last resort, as for labs: however this process ends, the controller ends with it.
  const removeNow = (): void => {
    current?.signal("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  process.once("exit", removeNow);
  return {
    programs: [
      {
        name: "controller",
        folders: controllerFolders,
        start: async () => {
          const args = ["controller", "--listen", `127.0.0.1:${listening}`, "--db", db];
          const here = {
            spawn: ([file, ...rest]: readonly [string, ...string[]], env?: Readonly<Record<string, string>>) =>
              spawn(file, rest, { stdio: "pipe", detached: true, env: { ...process.env, ...env } }),
          };
          current = new LabProcess("controller", here, [process.execPath, program, ...args]);
          const line = await current.waitForLog(({ msg }) => msg === "listening", "its log to say that it listens");
          // A free port stays the same over restarts.
          listening = Number(line.port);
          return current;
        },
      },
    ],
    get url() {
      return `http://127.0.0.1:${listening}`;
    },
    files: { token: `${db}.admin-token` },
    populate: async () => [],
    remove: async () => {
      await current?.stop();
      removeNow();
      process.off("exit", removeNow);
    },
  };
}

/** @returns the admin token that the controller has made at its first start */
export async function readToken({ files }: Stage): Promise<string> {
  return (await readFile(files.token, "utf8")).trim();
}
