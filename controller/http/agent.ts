import { agentPath } from "../../schema/agent/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { textWriter } from "../agents/text-writer.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { identityOf } from "./caller.ts";
import { problems, switching } from "./responses.ts";

export function agentRoutes(app: App, { agents }: { agents: AgentChannel }): void {
  app.route({
    method: "GET",
    url: agentPath,
    config: { access: "agent" },
    schema: {
      tags: ["agents"],
      operationId: "openAgentChannel",
      summary: "The agents' channel (WebSocket; schema/agent/protocol.ts describes its frames)",
      response: { 101: switching, ...problems("upgrade-required") },
    },
    handler: (_request, reply) => {
      reply.header("connection", "upgrade").header("upgrade", "websocket");
      throw new Refusal("upgrade-required", "this path is for nearmiss agents");
    },
    wsHandler: (socket, request) => agents.accept(socket, identityOf(request), textWriter(socket, request.raw.socket)),
  });
}
