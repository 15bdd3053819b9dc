// The built controller as a separate process, on loopback and with its tokens: faults in it do not affect the test
// process.
import { spawn } from "node:child_process";
import { on } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { LabProcess } from "../../testkit/lab/process.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";

const here = {
  spawn: ([program, ...args]: readonly [string, ...string[]]) => spawn(program, args, { stdio: "pipe" }),
};

/** Registers a cleanup: by default at the end of the test. */
export type AtEnd = (clean: () => Promise<void> | void) => void;

/** Removed at the end. */
export function temporaryDirectory(atEnd: AtEnd = onTestFinished): string {
  const path = mkdtempSync(join(tmpdir(), "nearmiss-"));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export class ControllerProcess {
  private constructor(
    readonly process: LabProcess,
    readonly url: string,
    readonly token: string,
  ) {}

  /** Resolves when it listens; killed at the end at the latest. @throws ProcessEndedError if it refuses to start */
  static async start(
    db: string,
    port = 0,
    more: readonly string[] = [],
    atEnd: AtEnd = onTestFinished,
  ): Promise<ControllerProcess> {
    const process = ControllerProcess.launch(db, port, more, atEnd);
    const line = await process.waitForLog(({ msg }) => msg === "listening", "its log to say that it listens");
    const token = readFileSync(`${db}.admin-token`, "utf8").trim();
    return new ControllerProcess(process, `http://127.0.0.1:${line.port}`, token);
  }

  /** Like `start`, without waiting: for a controller that refuses to start. */
  static launch(db: string, port = 0, more: readonly string[] = [], atEnd: AtEnd = onTestFinished): LabProcess {
    const options = ["--listen", `127.0.0.1:${port}`, "--db", db, "--rate-limit", "100000"];
    const command = nearmiss("controller", ...options, ...more);
    const process = new LabProcess("controller", here, command);
    atEnd(async () => void (await process.stop("SIGKILL")));
    return process;
  }

  /** @throws if there is no complete answer */
  async request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  /** A request that must succeed. */
  async call<Body = unknown>(method: string, path: string, body?: unknown): Promise<Body> {
    const reply = await this.request(method, path, body);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body as Body;
  }

  /** @param lines NDJSON @throws if there is no complete answer */
  async import(lines: string): Promise<{ status: number; text: string }> {
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/x-ndjson" };
    const response = await fetch(new URL("/v1/import", this.url), { method: "POST", headers, body: lines });
    return { status: response.status, text: await response.text() };
  }

  /** A gauge or counter of `/metrics` without labels; NaN if there is none. */
  async metric(name: string): Promise<number> {
    const headers = { authorization: `Bearer ${this.token}` };
    const text = await (await fetch(new URL("/metrics", this.url), { headers })).text();
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  /** The changes from now on. */
  events(): { next(): Promise<unknown> } {
    const socket = new WebSocket(new URL("/v1/events", this.url.replace("http", "ws")), {
      headers: { authorization: `Bearer ${this.token}` },
    });
    onTestFinished(() => socket.terminate());
    const messages = on(socket, "message");
    return {
      next: async () => {
        for (;;) {
          const { value } = await messages.next();
          const event = JSON.parse(String((value as [unknown])[0])) as { type: string };
          if (event.type !== "nearmiss.bookmark") return event;
        }
      },
    };
  }

  /** Everything that is registered, by kind and name, as the export has it. */
  async everything(): Promise<Map<string, unknown>> {
    const response = await fetch(new URL("/v1/export", this.url), {
      headers: { authorization: `Bearer ${this.token}` },
    });
    const lines = (await response.text()).trim().split("\n");
    const resources = lines.map((line) => JSON.parse(line) as { kind?: string; name?: string });
    return new Map(resources.flatMap((each) => (each.name ? [[`${each.kind}/${each.name}`, each] as const] : [])));
  }

  /** A network "blue" and the hosts "a" and "b". */
  async furnish(): Promise<void> {
    await this.call("PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.0.0.0/8"] });
    await this.call("PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
    await this.call("PUT", "/v1/hosts/b", { vtep: "192.0.2.2" });
  }
}

/** A command to its end. */
export async function runCommand(...args: string[]): Promise<{ status: number | NodeJS.Signals; output: string }> {
  const command = new LabProcess("nearmiss", here, nearmiss(...args));
  const status = await command.ended;
  return { status, output: command.logs.map(({ msg }) => msg).join("\n") };
}

/** The interface of VM number `n`, below 2^16. */
export function interfaceOf(n: number): object {
  const hex = n.toString(16).padStart(4, "0");
  return {
    name: "eth0",
    network: "blue",
    mac: `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`,
    ips: [`10.1.${n >> 8}.${n & 255}`],
  };
}
