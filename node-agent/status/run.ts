// `nearmiss agent status` and `nearmiss explain`: send the request, print the result, and set the exit status.
import type { IpAddress } from "../../schema/index.ts";
import { version } from "../../schema/index.ts";
import { AskError, askAgent, findSocket, howToStart, NoAgentError } from "./client.ts";
import type { ExplainFlags, Output, StatusFlags } from "./command-flags.ts";
import { type Explanation, otherVersion, withFormerNames, withoutAgent } from "./explanation.ts";
import { printExplanation } from "./print-explanation.ts";
import { printStatus } from "./print-status.ts";
import { maxListedEntries } from "./protocol.ts";
import type { StatusReport } from "./report.ts";

const noAgentStatus = 5;
const few = { entries: 20, misses: 10 };

/** @returns the exit status */
export async function runStatus({ socket, host, output, all }: StatusFlags, format: Output["format"]): Promise<number> {
  try {
    const path = await findSocket(socket, host);
    const isWhole = all || output !== "text";
    const { result } = await askAgent(path, { type: "status", maxEntries: isWhole ? maxListedEntries : few.entries });
    // An agent of another build may send fewer or more fields, in the format of its own build.
    const print = () => printStatus(result as StatusReport, all ? everything : few);
    process.stdout.write(await format(output, result, print));
    return 0;
  } catch (error) {
    if (!(error instanceof NoAgentError) && !(error instanceof AskError)) throw error;
    process.stderr.write(`nearmiss agent status: ${error.message}\n`);
    return error instanceof NoAgentError ? noAgentStatus : 1;
  }
}

const everything = { entries: Number.POSITIVE_INFINITY, misses: Number.POSITIVE_INFINITY };

/** @returns the exit status */
export async function runExplain(
  from: IpAddress,
  to: IpAddress,
  flags: ExplainFlags,
  format: Output["format"],
): Promise<number> {
  const { network, output } = flags;
  try {
    const explanation = withFormerNames(await askExplanation(from, to, flags));
    process.stdout.write(await format(output, explanation, () => printExplanation(explanation)));
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
