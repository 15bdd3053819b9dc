// Answers requests on the agent's local socket.
import { explain } from "./explain.ts";
import { withFormerNames } from "./explanation.ts";
import { gatherPath } from "./gather.ts";
import type { StatusRequest } from "./protocol.ts";
import { reportStatus } from "./report.ts";
import type { StatusSources } from "./sources.ts";

/** @throws NetlinkError if the kernel does not answer */
export async function answerStatus(sources: StatusSources, request: StatusRequest): Promise<unknown> {
  if (request.type === "status") return reportStatus(sources, request.maxEntries);
  return withFormerNames(explain(await gatherPath(sources, request)));
}
