// Three hosts with connected agents, one of which holds a VM of another.
import { type AgentClient, call, populate, startController } from "./harness.ts";

export const web1 = { kind: "ip", vni: 100, ip: "10.20.1.1" } as never;

/** Confirms every change as soon as it hears of it, once it is told to. */
export function follow(agent: AgentClient, problems: string[] = []): AgentClient {
  const confirmed = new Set<number>();
  const confirm = () => {
    for (const { asOf, end } of agent.frames("changes")) {
      if (!end || confirmed.has(asOf)) continue;
      confirmed.add(asOf);
      agent.send({ type: "applied", revision: asOf, problems });
    }
  };
  void agent
    .untilAll(() => {
      confirm();
      return false;
    })
    .catch(() => {});
  return agent;
}

/** Hosts a, b and c with a VM each in blue; c holds web-1, which is on a. All agents are connected. */
export async function fleet(options: Parameters<typeof startController>[0] = {}) {
  const controller = await startController(options);
  await populate(controller);
  await call(controller, 201, "PUT", "/v1/vms/web-3", {
    host: "c",
    interfaces: [{ network: "blue", mac: "52:54:00:00:00:03", ips: ["10.20.1.3"] }],
  });
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((host) => controller.agent(host).connect()));
  if (!a || !b || !c) throw new Error("three agents");
  c.send({ type: "resolve", id: 1, questions: [web1] });
  await c.frame("answers");
  return { controller, a, b, c };
}
