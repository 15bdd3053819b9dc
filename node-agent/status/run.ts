// `nearmiss agent status` and `nearmiss explain`: ask, print, and say with the exit status how it went.
import type { IpAddress } from "../../schema/index.ts";
import { version } from "../../schema/index.ts";
import { AskError, askAgent, findSocket, howToStart, NoAgentError } from "./client.ts";
import type { ExplainFlags, StatusFlags } from "./command.ts";
import { type Explanation, otherVersion, withoutAgent } from "./explanation.ts";
import { printExplanation } from "./print-explanation.ts";
import { printStatus } from "./print-status.ts";
import { mostEntries } from "./protocol.ts";
import type { StatusReport } from "./report.ts";

const noAgentStatus = 5;
const few = { entries: 20, misses: 10 };

/** @returns the exit status */
export async function runStatus({ socket, host, json, all }: StatusFlags): Promise<number> {
  try {
    const path = await findSocket(socket, host);
    const says = await askAgent(path, { type: "status", maxEntries: json || all ? mostEntries : few.entries });
    if (json) process.stdout.write(`${JSON.stringify(says.result, undefined, 2)}\n`);
    // An agent of another build may say less or more: what it says has the form of its own build.
    else process.stdout.write(printStatus(says.result as StatusReport, all ? everything : few));
    return 0;
  } catch (error) {
    if (!(error instanceof NoAgentError) && !(error instanceof AskError)) throw error;
    process.stderr.write(`nearmiss agent status: ${error.message}\n`);
    return error instanceof NoAgentError ? noAgentStatus : 1;
  }
}

const everything = { entries: Number.POSITIVE_INFINITY, misses: Number.POSITIVE_INFINITY };

/** @returns the exit status */
export async function runExplain(from: IpAddress, to: IpAddress, flags: ExplainFlags): Promise<number> {
  const { network, json } = flags;
  try {
    const explanation = await askExplanation(from, to, flags);
    process.stdout.write(json ? `${JSON.stringify(explanation, undefined, 2)}\n` : printExplanation(explanation));
    return explanation.first === null ? 0 : 1;
  } catch (error) {
    if (!(error instanceof AskError)) throw error;
    process.stderr.write(`nearmiss explain --network ${network}: ${error.message}\n`);
    return 1;
  }
}

/** @throws AskError */
async function askExplanation(
  from: IpAddress,
  to: IpAddress,
  { network, socket, host }: ExplainFlags,
): Promise<Explanation> {
  try {
    const says = await askAgent(await findSocket(socket, host), { type: "explain", network, from, to });
    const explanation = says.result as Explanation;
    if (says.version === version) return explanation;
    return { ...explanation, checks: [otherVersion(says.version, version), ...explanation.checks] };
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
    return withoutAgent({ host: host ?? null, network, from, to }, error.says, howToStart);
  }
}
