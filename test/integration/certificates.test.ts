// Certificates over time: renewed, expired, and signed by a CA that follows another.
import { X509Certificate } from "node:crypto";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import type { Renewal } from "../../node-agent/identity/renewal.ts";
import { makeHostKey, makeRequest } from "../../node-agent/identity/request.ts";
import type { HostIdentity } from "../../node-agent/identity/state.ts";
import { closeCodes } from "../../schema/agent/index.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import {
  day,
  type EnrollingController,
  graceMs,
  lifetimeMs,
  startEnrolling,
  temporaryState,
} from "../support/enrolled.ts";
import { holdIntervals } from "../support/held-timeouts.ts";

async function renewed(renewal: Renewal, before: HostIdentity): Promise<HostIdentity> {
  await waitFor(() => renewal.current.certificate !== before.certificate, { what: "another certificate" });
  return renewal.current;
}

async function postRenewal({ ask }: EnrollingController, identity: HostIdentity, key = identity.key) {
  return ask({ identity }, "POST", "/v1/renew", { csr: await makeRequest(key, identity.host) });
}

describe("renewal", () => {
  test("happens at two thirds of a certificate's life, is stored, and does not disturb the session", async () => {
    const controller = await startEnrolling();
    const state = temporaryState();
    const before = await controller.enrol("a", state);
    const agent = await controller.agent(before).connect();
    const renewal = controller.renewal(before, state);
    controller.clock.advance(lifetimeMs * (2 / 3));
    renewal.start();
    const after = await renewed(renewal, before);
    expect(after.key).toBe(before.key);
    expect(Date.parse(new X509Certificate(after.certificate).validTo)).toBeGreaterThan(
      Date.parse(new X509Certificate(before.certificate).validTo) + 19 * day,
    );
    expect(state.findIdentity()).toEqual(after);
    expect(agent.isOpen).toBe(true);
    expect((await controller.ask({ identity: after }, "GET", "/v1/hosts/a")).status).toBe(200);
  });

  test("does not happen a day earlier", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const scheduled: number[] = [];
    const renewal = controller.renewal(identity);
    const { setTimeout: real } = globalThis;
    globalThis.setTimeout = ((act: () => void, ms: number) => {
      scheduled.push(ms);
      return real(act, ms);
    }) as typeof setTimeout;
    controller.clock.advance(lifetimeMs * (2 / 3) - day);
    renewal.start();
    globalThis.setTimeout = real;
    expect(scheduled).toEqual([3_600_000]);
  });

  test("keeps a session open beyond the end of its first certificate", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const agent = await controller.agent(identity).connect();
    expect((await postRenewal(controller, identity)).status).toBe(201);
    controller.clock.advance(20 * day);
    expect((await postRenewal(controller, identity)).status).toBe(201);
    controller.clock.advance(11 * day);
    // Every session is checked again before it receives this.
    await controller.tls.refresh();
    await agent.untilAll(() => agent.frames("trust").length === 2);
    expect(agent.isOpen).toBe(true);
  });

  test("that never happened ends the session with the certificate", async () => {
    const pass = holdIntervals();
    const controller = await startEnrolling({ heartbeatMs: 1_000 });
    const agent = await controller.agent(await controller.enrol("a")).connect();
    controller.clock.advance(lifetimeMs + 1_000);
    pass(1_000);
    expect(await agent.closed).toEqual({
      code: closeCodes.certificateEnded,
      reason: 'the certificate of host "a" has ended',
    });
  });

  test("keeps the key: another key needs a join token", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const { status, body } = await postRenewal(controller, identity, makeHostKey());
    expect([status, body.detail]).toEqual([403, expect.stringContaining("`nearmiss host add a`")]);
  });

  test("requires a certificate", async () => {
    const controller = await startEnrolling();
    const csr = await makeRequest(makeHostKey(), "a");
    expect((await controller.ask({}, "POST", "/v1/renew", { csr })).status).toBe(401);
    const token = { token: controller.adminToken };
    expect((await controller.ask(token, "POST", "/v1/renew", { csr })).status).toBe(401);
  });

  test("is retried while no controller answers", async () => {
    const controller = await startEnrolling();
    const state = temporaryState();
    const before = await controller.enrol("a", state);
    await controller.stop();
    controller.clock.advance(lifetimeMs);
    const tries: string[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => tries.push(JSON.parse(line).msg) });
    const renewal = controller.renewal(before, state, log);
    renewal.start();
    await waitFor(() => tries.length >= 2, { what: "a second try" });
    expect(tries[0]).toBe("the certificate could not be renewed: retrying");
    expect(state.findIdentity()).toEqual(before);
  });
});

describe("a host that was away", () => {
  test("with an expired certificate renews it within the grace period and reconnects", async () => {
    const controller = await startEnrolling();
    const before = await controller.enrol("a");
    controller.clock.advance(lifetimeMs + graceMs - day);
    await expect(controller.agent(before).opened).rejects.toThrow("401");
    const renewal = controller.renewal(before);
    renewal.start();
    const after = await renewed(renewal, before);
    await controller.agent(after).connect();
  });

  test("past the grace period gets instructions, and returns with a new join command", async () => {
    const controller = await startEnrolling();
    const state = temporaryState();
    const before = await controller.enrol("a", state);
    controller.clock.advance(lifetimeMs + graceMs + day);
    const { status, body } = await postRenewal(controller, before);
    expect([status, body.detail]).toEqual([
      401,
      "the certificate has expired 11 days ago: `nearmiss host add a` prints a new line for the host",
    ]);
    const after = await controller.enrol("a", state);
    expect(after.key).not.toBe(before.key);
    await controller.agent(after).connect();
  });

  test("and was revoked in the meantime has no grace period", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    controller.clock.advance(lifetimeMs + day);
    expect((await postRenewal(controller, identity)).status).toBe(401);
  });
});

describe("rotation of the CA", () => {
  test("takes place in steps, while sessions stay open and hosts renew by themselves", async () => {
    const controller = await startEnrolling();
    const state = temporaryState();
    const before = await controller.enrol("a", state);
    const agent = await controller.agent(before).connect();
    const renewal = controller.renewal(before, state);
    const follow = async (fits: (trust: { ca: string; issuer: string }) => boolean) =>
      renewal.onTrust(await agent.frame("trust", fits));
    const [old] = (await controller.call(200, "GET", "/v1/authorities")).authorities;
    expect(old).toMatchObject({ issuing: true, hosts: ["a"] });

    const added = await controller.call(201, "POST", "/v1/authorities");
    expect(added).toMatchObject({ issuing: false, hosts: [] });
    await follow(({ ca }) => ca.split("BEGIN CERTIFICATE").length === 3);
    expect(renewal.current.certificate).toBe(before.certificate);

    await controller.call(200, "POST", `/v1/authorities/${added.id}/issue`);
    await follow(({ issuer }) => issuer.includes(added.id));
    const after = await renewed(renewal, before);
    expect(new X509Certificate(after.certificate).issuer).toBe(`CN=nearmiss CA ${added.id}`);
    expect((await controller.call(200, "GET", "/v1/authorities")).authorities).toMatchObject([
      { id: added.id, issuing: true, hosts: ["a"] },
      { id: old.id, issuing: false, hosts: [] },
    ]);

    await controller.call(204, "DELETE", `/v1/authorities/${old.id}`);
    await follow(({ ca }) => ca === controller.trust());
    expect(agent.isOpen).toBe(true);
    expect((await controller.ask({ identity: before }, "GET", "/v1/hosts/a")).status).toBe(401);
    const next = await controller.agent(renewal.current).connect();
    expect(next.isOpen).toBe(true);
    expect(state.findIdentity()?.ca).toBe(controller.trust());
  });

  test("removes no CA while hosts have its certificates, unless forced, which ends their sessions", async () => {
    const controller = await startEnrolling();
    const agent = await controller.agent(await controller.enrol("a")).connect();
    const [old] = (await controller.call(200, "GET", "/v1/authorities")).authorities;
    const issues = await controller.call(409, "DELETE", `/v1/authorities/${old.id}`);
    expect(issues.detail).toMatch(/^1 hosts have certificates of CA/);
    await controller.call(409, "DELETE", `/v1/authorities/${old.id}?force=true`);
    const { id } = await controller.call(201, "POST", "/v1/authorities");
    await controller.call(200, "POST", `/v1/authorities/${id}/issue`);
    const holds = await controller.call(409, "DELETE", `/v1/authorities/${old.id}`);
    expect(holds.detail).toBe(
      `1 hosts have certificates of CA ${old.id} (a): wait until they have renewed, revoke them, or force it`,
    );
    await controller.call(204, "DELETE", `/v1/authorities/${old.id}?force=true`);
    expect((await agent.closed).code).toBe(closeCodes.certificateEnded);
  });

  test("with an unknown id, or without rights, is refused", async () => {
    const controller = await startEnrolling();
    await controller.call(404, "POST", "/v1/authorities/00000000/issue");
    await controller.call(404, "DELETE", "/v1/authorities/00000000");
    const { token } = await controller.call(201, "POST", "/v1/tokens", { role: "operator" });
    expect((await controller.ask({ token }, "POST", "/v1/authorities")).status).toBe(403);
    expect((await controller.ask({ token }, "GET", "/v1/authorities")).status).toBe(403);
  });
});
