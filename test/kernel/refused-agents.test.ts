// An agent that the controller refuses until an operator acts: it asks less and less often, and is named with the reason in its own status and
// log, in the list of hosts and among the conditions, until the reason is gone.
import { expect, test } from "vitest";
import type { Host } from "../../testkit/lab/host.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { type Cluster, cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

interface Condition {
  readonly kind: string;
  readonly host?: string;
  readonly reason: string;
}

/** From the first refusal to the fourth: pauses of 0.5 to 1, 1 to 2, and 2 to 4 s. */
const tries = 4;

const refusals = async (it: Cluster): Promise<readonly Condition[]> =>
  (await it.call<{ conditions: Condition[] }>("GET", "/v1/conditions?kind=host-refused")).conditions;

/** That the agent tries four times, says why, and waits longer each time. */
async function tryInVain(host: Host, said: string): Promise<void> {
  const ends = () =>
    host.agent.logs.filter(({ msg, reason }) => msg === "no session with the controller" && `${reason}`.includes(said));
  await waitFor(() => ends().length >= tries, { what: `${tries} attempts`, deadlineMs: 30_000 });
  const { session } = await statusOf(host);
  expect(session).toMatchObject({ state: "waiting", refused: true, reason: expect.stringContaining(said) });
  for (const [attempt, { level, retryMs }] of ends().entries()) {
    // pino's numbers: one warning, then debug.
    expect(level).toBe(attempt === 0 ? 40 : 20);
    expect(Number(retryMs)).toBeGreaterThanOrEqual(500 * 2 ** attempt);
    // The end of a session may have been the first refusal.
    expect(Number(retryMs)).toBeLessThanOrEqual(2_000 * 2 ** attempt);
  }
  const status = await host.exec(nearmiss("agent", "status", "--socket", host.agentSocket));
  expect(status.split("\n").find((line) => line.startsWith("controller"))).toMatch(/no session: .*; next try in /);
  expect(status).toContain(said);
}

const session = (host: Host) => host.agent.waitForLog(({ msg }) => msg === "session with the controller");

describeKernel("an agent that is refused", () => {
  const it = cluster({ hosts: 2, underlay: 4 });

  test("because another host has its VTEP", async () => {
    const [a, b] = [it.lab.host("a"), it.lab.host("b")];
    await b.agent.stop();
    b.startAgent({ extraArgs: ["--host", "c", "--vtep", a.address] });
    await tryInVain(b, a.address);
    expect(await refusals(it)).toMatchObject([{ host: "a", reason: expect.stringContaining("calls itself c") }]);
    expect(await a.exec(nearmiss("host", "list", "--controller", it.lab.controllerUrl))).toMatch(/^a .*host-refused/m);
    await b.agent.stop();
    b.startAgent({ extraArgs: ["--host", "c", "--vtep", "192.0.2.99"] });
    await session(b);
    await waitFor(async () => (await refusals(it)).length === 0, { what: "no such condition" });
  });
});

describeKernel("an agent with a certificate that is refused", () => {
  const it = cluster({ hosts: 1, underlay: 4, secured: true });

  test("because it was revoked", async () => {
    const { lab } = it;
    const host = lab.host("a");
    await session(host);
    await lab.operate("host", "revoke", "a");
    await tryInVain(host, "(401)");
    expect(await refusals(it)).toMatchObject([{ host: "a", reason: expect.stringContaining("that was revoked") }]);
    expect(await lab.operate("host", "list")).toMatch(/^a .*host-refused/m);
    expect(await lab.operate("host", "get", "a")).toContain("a certificate of this host that was revoked");
    await host.agent.stop();
    await host.enrol();
    host.startAgent();
    await session(host);
    await waitFor(async () => (await refusals(it)).length === 0, { what: "no such condition" });
  });
});
