// Three hosts with connected agents, one of which has a VM of another cached.
import type { ControllerFrame } from "../../schema/agent/index.ts";
import { type AgentClient, call, populate, startController } from "./harness.ts";

export const web1 = { kind: "ip", vni: 100, ip: "10.20.1.1" } as never;

/** Once enabled, confirms every change as soon as it arrives. */
export function follow(agent: AgentClient, problems: string[] = []): AgentClient {
  const confirm = (frame: ControllerFrame) => {
    if (frame.type === "changes" && frame.end) agent.send({ type: "applied", revision: frame.asOf, problems });
  };
  for (const frame of agent.received) confirm(frame);
  agent.listen(confirm);
  return agent;
}

/** Hosts a, b and c with a VM each in blue; c has web-1 cached, which is on a. All agents are connected. */
/** @param hello of all, beside what it has otherwise */
export async function fleet(
  options: Parameters<typeof startController>[0] = {},
  hello: Parameters<AgentClient["hello"]>[0] = {},
) {
  const controller = await startController(options);
  await populate(controller);
  await call(controller, 201, "PUT", "/v1/vms/web-3", {
    host: "c",
    interfaces: [{ network: "blue", mac: "52:54:00:00:00:03", ips: ["10.20.1.3"] }],
  });
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((host) => controller.agent(host).connect([], hello)));
  if (!a || !b || !c) throw new Error("three agents");
  c.send({ type: "resolve", id: 1, questions: [web1] });
  await c.frame("answers");
  return { controller, a, b, c };
}
