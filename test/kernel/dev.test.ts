// `npm run dev` on a copy of this tree, so that sources can be changed: starts, answers, reloads, and leaves nothing behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as requestHttps } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { run } from "../../testkit/lab/command.ts";
import { namespacesNamed } from "../../testkit/lab/namespace.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { describeKernel } from "../support/kernel.ts";

const root = resolve(import.meta.dirname, "../..");
const folders = [
  "bin",
  "cli",
  "common",
  "controller",
  "dashboard",
  "node-agent",
  "schema",
  "dist",
  "package.json",
  "tsconfig.json",
];

let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), "nearmiss-dev-test-"));
  for (const name of folders) cpSync(join(root, name), join(tree, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
});

afterAll(() => rmSync(tree, { recursive: true, force: true }));

interface Dev {
  readonly output: () => string;
  /** The value after a label, once it is printed. */
  readonly shown: (label: string) => string;
  readonly status: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

/** Resolves when it is ready. @throws Error with its output where it ends before */
async function startDev(...args: string[]): Promise<Dev> {
  const dev = spawnDev(...args);
  const isReady = waitFor(() => dev.output().includes("│ ready: "), { what: "it to be ready", deadlineMs: 120_000 });
  const early = dev.status.then((code) => Promise.reject(new Error(`ended with ${code}`)));
  try {
    await Promise.race([isReady, early]);
  } catch (error) {
    dev.kill("SIGKILL");
    throw new Error(dev.output(), { cause: error });
  }
  return dev;
}

function spawnDev(...args: string[]): Dev {
  const command = [join(tree, "dist/testkit/dev/main.js"), "--controller-port", "0", "--port", "0", ...args];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      output += String(data);
    });
  }
  const status = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  return {
    output: () => output,
    shown: (label) => new RegExp(`│ ${label} +(\\S.*)`).exec(output)?.[1] ?? "",
    status,
    kill: (signal) => child.kill(signal),
  };
}

async function getJson<Body>(dev: Dev, path: string): Promise<Body> {
  const reply = await fetch(new URL(path, dev.shown("dashboard")), {
    headers: { authorization: `Bearer ${dev.shown("token")}` },
  });
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as Body;
}

function edit(file: string, change: (text: string) => string): void {
  const text = readFileSync(join(tree, file), "utf8");
  const changed = change(text);
  if (changed === text) throw new Error(`${file} has not what is to be changed`);
  writeFileSync(join(tree, file), changed);
}

/** The version that the controller states, which is a source of all programs. */
function setVersion(version: string): void {
  edit("schema/version.ts", (text) => text.replace(/version = "[^"]*"/, `version = "${version}"`));
}

async function untilVersion(dev: Dev, version: string): Promise<void> {
  await waitUntil(
    () => getJson<{ version: string }>(dev, "/v1/identity"),
    (identity) => identity.version === version,
    { what: `the controller to be of version ${version}`, everyMs: 50 },
  );
}

/** The way of a page: its Origin is the development server's. */
async function firstEvent(dev: Dev): Promise<{ type: string }> {
  const page = new URL(dev.shown("dashboard"));
  const socket = new WebSocket(`ws://${page.host}/v1/events?since=0`, {
    origin: page.origin,
    headers: { authorization: `Bearer ${dev.shown("token")}` },
  });
  try {
    return await new Promise((resolve, reject) => {
      socket.on("message", (data) => resolve(JSON.parse(String(data))));
      socket.on("error", reject);
      socket.on("close", (code, reason) => reject(new Error(`closed with ${code} ${reason}`)));
    });
  } finally {
    socket.terminate();
  }
}

describeKernel("npm run dev with a lab", () => {
  test("serves two hosts with two guests each, restarts only the programs that a change concerns, and leaves nothing behind", async () => {
    const dev = await startDev();
    try {
      const { hosts } = await getJson<{ hosts: { connected: boolean }[] }>(dev, "/v1/hosts");
      expect(hosts.map(({ connected }) => connected)).toEqual([true, true]);
      const { vms } = await getJson<{ vms: { host: string }[] }>(dev, "/v1/vms");
      expect(vms.map(({ host }) => host).sort()).toEqual(["a", "a", "b", "b"]);

      expect(await (await fetch(dev.shown("dashboard"))).text()).toContain("/@vite/client");
      expect(await (await fetch(new URL("main.tsx", dev.shown("dashboard")))).text()).toContain("preact");
      expect((await firstEvent(dev)).type).toBe("nearmiss.host.created");
      expect(await statusWithCa(dev, "/livez")).toBe(200);

      const [guest = ""] = dev.output().match(/ip netns exec \S+ ping \S+/) ?? [];
      const [ip, ...words] = guest.split(" ");
      await run([ip ?? "", ...words, "-c", "1", "-W", "10"]);

      setVersion("0.0.1-dev");
      await untilVersion(dev, "0.0.1-dev");
      await waitFor(() => ["controller", "agent a", "agent b"].every((name) => restartsOf(dev, name) === 1), {
        what: "all programs to be restarted",
      });
      await waitUntil(
        () => getJson<{ hosts: { connected: boolean }[] }>(dev, "/v1/hosts"),
        (list) => list.hosts.every(({ connected }) => connected),
        { what: "the agents to be connected again", everyMs: 50 },
      );

      edit("node-agent/controller-link/backoff.ts", (text) => `${text}export const addedByTest = 1;\n`);
      await waitFor(() => restartsOf(dev, "agent a") === 2 && restartsOf(dev, "agent b") === 2, {
        what: "the agents to be restarted",
      });
      expect(restartsOf(dev, "controller")).toBe(1);
    } finally {
      dev.kill("SIGINT");
    }
    expect(await dev.status, dev.output()).toBe(130);
    const [prefix = "none"] = /nm[0-9a-f]{6}/.exec(dev.output()) ?? [];
    expect(namespacesNamed(prefix)).toEqual([]);
    expect(pidsOfTree()).toEqual([]);
    await expect(fetch(dev.shown("dashboard"))).rejects.toThrow();
    await expect(statusWithCa(dev, "/livez")).rejects.toThrow();
  });
});

describeKernel("npm run dev that is interrupted while it starts", () => {
  test("leaves nothing behind", async () => {
    const dev = spawnDev();
    // `ip netns exec` has its command line before it has entered the namespace.
    const name = await waitFor(() => namespaceOf(pidsOfTree("nearmiss.js controller")[0]), {
      what: "the controller in its namespace",
      deadlineMs: 60_000,
    });
    const [prefix = name] = name.split("-");
    expect(namespacesNamed(prefix).length).toBeGreaterThan(2);
    dev.kill("SIGINT");
    expect(await dev.status, dev.output()).toBe(130);
    expect(namespacesNamed(prefix)).toEqual([]);
    expect(pidsOfTree()).toEqual([]);
  });
});

describe("npm run dev without a lab", () => {
  test("says so, keeps the running version when a source is wrong, and continues with the next change", async () => {
    const dev = await startDev("--no-lab");
    try {
      expect(dev.output()).toContain("no hosts and guests (--no-lab): only controller and dashboard");
      expect(dev.shown("controller")).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      setVersion("0.0.2-dev");
      await untilVersion(dev, "0.0.2-dev");

      edit("schema/version.ts", (text) => `${text}export const = ;\n`);
      await waitFor(() => dev.output().includes("schema/version.ts does not compile"), {
        what: "the fault to be shown",
      });
      await untilVersion(dev, "0.0.2-dev");

      edit("schema/version.ts", (text) => text.replace("export const = ;", 'throw new Error("broken at the start");'));
      await waitFor(() => /controller +│ .*ended before its log/.test(dev.output()), { what: "the end to be shown" });

      edit("schema/version.ts", (text) => text.replace('throw new Error("broken at the start");\n', ""));
      setVersion("0.0.3-dev");
      await untilVersion(dev, "0.0.3-dev");
    } finally {
      dev.kill("SIGTERM");
    }
    expect(await dev.status, dev.output()).toBe(143);
    expect(pidsOfTree()).toEqual([]);
  });

  test("says which flag sets another port if one is taken, and leaves nothing behind", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    try {
      const { port } = taken.address() as AddressInfo;
      await expect(startDev("--no-lab", "--port", String(port))).rejects.toThrow(
        `port ${port} of 127.0.0.1 is in use: name another with --port, 0 takes a free one`,
      );
    } finally {
      taken.close();
    }
    expect(pidsOfTree()).toEqual([]);
  });

  test("explains an invalid option", async () => {
    await expect(startDev("--port", "x")).rejects.toThrow('--port "x" is not a port (0 … 65535)');
    await expect(startDev("--bogus")).rejects.toThrow("Unknown option '--bogus'");
  });
});

/** Processes of the copy with this in their command line. */
function pidsOfTree(words = ""): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const isOurs = (pid: string): boolean => {
    try {
      const line = readFileSync(join("/proc", pid, "cmdline"), "utf8").replaceAll("\0", " ");
      return line.includes(tree) && line.includes(words);
    } catch {
      return false; // ended during the loop
    }
  };
  return pids.filter(isOurs).map(Number);
}

async function namespaceOf(pid: number | undefined): Promise<string> {
  return pid === undefined ? "" : (await run(["ip", "netns", "identify", String(pid)])).trim();
}

function restartsOf(dev: Dev, name: string): number {
  return dev
    .output()
    .split("\n")
    .filter((line) => line.startsWith(name) && line.includes("│ restarted in ")).length;
}

/** On the controller's own port, with the CA as an operator has it. */
function statusWithCa(dev: Dev, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    // Removed with the lab: then the connection is refused anyway.
    const ca = caOf(dev);
    const call = requestHttps(
      new URL(path, dev.shown("controller")),
      { ...(ca ? { ca } : {}), agent: false },
      (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      },
    );
    call.on("error", reject);
    call.end();
  });
}

function caOf(dev: Dev): Buffer | undefined {
  try {
    return readFileSync(dev.shown("CA"));
  } catch {
    return undefined;
  }
}
