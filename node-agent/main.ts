// The agent's process: log, signals, exit status.
import closeWithGrace from "close-with-grace";
import { pino } from "pino";
import { Agent } from "./agent.ts";
import type { AgentFlags } from "./config.ts";
import { SystemCallError } from "./kernel/libc.ts";
import { NetlinkError } from "./kernel/request-socket.ts";
import { warmUp } from "./warm-up.ts";

const EPERM = 1;

export async function runAgent(flags: AgentFlags): Promise<void> {
  const log = pino({ level: flags.logLevel, base: { host: flags.host } }, pino.destination({ dest: 2, sync: true }));
  const agent = openAgent(flags, log);
  closeWithGrace({ delay: 5_000, logger: false }, async ({ err }) => {
    if (err) log.fatal({ err }, "the agent failed");
    await agent.stop();
  });
  warmUp();
  await agent.start();
}

function openAgent(flags: AgentFlags, log: pino.Logger): Agent {
  try {
    return new Agent(flags, log);
  } catch (error) {
    const refused = error instanceof SystemCallError && error.errno === EPERM;
    if (!refused && !(error instanceof NetlinkError)) throw error;
    log.fatal("the kernel refuses: run the agent as root, or give it CAP_NET_ADMIN and CAP_NET_RAW");
    process.exit(1);
  }
}
