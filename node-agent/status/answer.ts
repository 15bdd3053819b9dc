// What the agent says over its local socket.
import { explain } from "./explain.ts";
import { gatherPath } from "./gather.ts";
import type { StatusRequest } from "./protocol.ts";
import { reportStatus } from "./report.ts";
import type { StatusSources } from "./sources.ts";

/** @throws NetlinkError where the kernel does not say */
export async function answerStatus(sources: StatusSources, request: StatusRequest): Promise<unknown> {
  if (request.type === "status") return reportStatus(sources, request.maxEntries);
  return explain(await gatherPath(sources, request));
}
