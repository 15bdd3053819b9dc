// A server of a measurement as a process of its own, on a free port of 127.0.0.1.
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { waitFor } from "../lab/wait.ts";
import { freePort } from "./controller.ts";

export class ServerProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  /** Resolves when it listens. @param command that is given the port as its last argument @throws WaitError */
  static async start(what: string, command: readonly [string, ...string[]]): Promise<ServerProcess> {
    const port = await freePort();
    const [file, ...args] = command;
    const child = spawn(file, [...args, String(port)], { stdio: ["ignore", "ignore", "inherit"] });
    await waitFor(() => listens(port), { what, deadlineMs: 20_000 });
    return new ServerProcess(child, port);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const settle = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => settle(true)).once("error", () => settle(false));
  });
}
