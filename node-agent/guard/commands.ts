// The programs that the guard needs: nft(8) for rules, ip(8) for the devices of its probe. Everything else uses netlink.
import { spawn } from "node:child_process";

/** A program is missing, failed, or exceeded its time. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

const deadlineMs = 10_000;

/** A fixed locale, and no other variable of this process: `nft` and `ip` need none. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: "C" });

/** @returns standard output @throws CommandError */
export function runCommand(program: "nft" | "ip", args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "pipe", timeout: deadlineMs, env: environment() });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error) => {
      const missing = "code" in error && error.code === "ENOENT";
      const cure = missing ? ` (install Debian's ${program === "nft" ? "nftables" : "iproute2"})` : "";
      reject(new CommandError(`${program}: ${error.message}${cure}`));
    });
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(stdout);
      const said = stderr.split("\n").find(Boolean) ?? "";
      reject(new CommandError(`${program} ended with ${code ?? signal}${said === "" ? "" : `: ${said}`}`));
    });
    child.stdin.on("error", () => {}).end(input);
  });
}
