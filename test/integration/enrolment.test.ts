// Hosts get certificates with join tokens, and lose them.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { enrol } from "../../node-agent/identity/enrol.ts";
import { makeHostKey, makeRequest } from "../../node-agent/identity/request.ts";
import { tokenHash } from "../../node-agent/identity/state.ts";
import { caHash, closeCodes, splitPem } from "../../schema/agent/index.ts";
import { type EnrollingController, startEnrolling, temporaryState } from "../support/enrolled.ts";
import { problemType } from "./harness.ts";

const hour = 3_600_000;
const hello = { type: "hello", protocol: { min: 1, max: 1 }, version: "test", host: "a", vtepPort: 4789 } as const;

/** One POST /v1/enrol with a new key, or a given one. */
async function tryToEnrol(
  { ask }: EnrollingController,
  token: string,
  {
    key = makeHostKey(),
    name,
    ...more
  }: { readonly key?: string; readonly name?: string; readonly vtep?: string } = {},
) {
  return ask({}, "POST", "/v1/enrol", { token, csr: await makeRequest(key, name), ...more });
}

describe("a join token", () => {
  test("gets its host a certificate that identifies it, and the agent stores it", async () => {
    const controller = await startEnrolling();
    const state = temporaryState();
    const identity = await controller.enrol("a", state);
    expect(identity.host).toBe("a");
    expect(state.findIdentity()).toEqual(identity);
    const certificate = new X509Certificate(identity.certificate);
    const own = (await controller.call(200, "GET", "/v1/hosts/a")).uid;
    expect(certificate.subjectAltName).toBe(`URI:urn:nearmiss:host:a:${own}:0`);
    expect(certificate.ca).toBe(false);
    expect((await controller.ask({ identity }, "GET", "/v1/hosts/a")).status).toBe(200);
    expect((await controller.ask({ identity }, "GET", "/v1/hosts/b")).status).toBe(404);
    expect((await controller.agent(identity).hello()).host).toBe("a");
  });

  test("is printed with the controller's address and the hash of its CA", async () => {
    const controller = await startEnrolling();
    const made = await controller.joinToken("a", { ttlSeconds: 60 });
    expect(made).toMatchObject({ host: "a", controller: `https://${controller.base}`, enrolled: false });
    expect(made.token).toMatch(/^nmj_[A-Za-z0-9_-]{43}$/);
    expect(made.caHash).toBe(caHash(new X509Certificate(splitPem(controller.trust())[0] ?? "")));
    expect(Date.parse(made.expiresAt) - controller.clock.now().getTime()).toBeLessThanOrEqual(60_000);
    expect(readFileSync(`${controller.db}-wal`).includes(made.token)).toBe(false);
  });

  test("is valid for one key: the same request may be repeated if the answer was lost", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const key = makeHostKey();
    expect((await tryToEnrol(controller, token, { key })).status).toBe(201);
    expect((await tryToEnrol(controller, token, { key })).status).toBe(201);
    const other = await tryToEnrol(controller, token);
    expect(other.status).toBe(401);
    expect(other.body.detail).toMatch(/was used before: `nearmiss host add a`/);
  });

  test("used by two keys at the same moment gives one of them a certificate", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const answers = await Promise.all(Array.from({ length: 8 }, () => tryToEnrol(controller, token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(401)]);
  });

  test("is valid for its host only: a request with another name is refused, and does not use it up", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const other = await tryToEnrol(controller, token, { name: "b" });
    expect([other.status, other.body.detail]).toEqual([403, 'the request names "b", and this is for host "a"']);
    expect((await tryToEnrol(controller, token, { name: "a" })).body.host).toBe("a");
  });

  test("expires after an hour", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    controller.clock.advance(hour + 1);
    const late = await tryToEnrol(controller, token);
    expect(late.status).toBe(401);
    expect(late.body.detail).toMatch(/^the join token has expired at .*: `nearmiss host add a` prints a new line/);
  });

  test("is invalid once another is made for the host", async () => {
    const controller = await startEnrolling();
    const first = await controller.joinToken("a");
    const second = await controller.joinToken("a");
    expect((await tryToEnrol(controller, first.token)).status).toBe(401);
    expect((await tryToEnrol(controller, second.token)).status).toBe(201);
  });

  test("is invalid once its host is deleted, also if another of the same name is registered", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("b");
    await controller.call(204, "DELETE", "/v1/hosts/b");
    await controller.call(201, "PUT", "/v1/hosts/b", { vtep: "192.0.2.2" });
    expect((await tryToEnrol(controller, token)).status).toBe(401);
  });

  test("for an unregistered host registers it with the agent's VTEP", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("new");
    const without = await tryToEnrol(controller, token);
    expect([without.status, problemType(without.body)]).toEqual([422, "unknown-reference"]);
    const taken = await tryToEnrol(controller, token, { vtep: "192.0.2.1" });
    expect([taken.status, problemType(taken.body)]).toEqual([409, "address-taken"]);
    expect((await tryToEnrol(controller, token, { vtep: "192.0.2.9" })).status).toBe(201);
    expect(await controller.call(200, "GET", "/v1/hosts/new")).toMatchObject({ vtep: "192.0.2.9" });
  });

  test("is not sent to a controller with another CA", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const line = { controller: controller.url, token, caHash: `sha256:${"0".repeat(64)}` };
    await expect(enrol(line, temporaryState())).rejects.toThrow(/does not show the CA .* The token was not sent/s);
    expect((await tryToEnrol(controller, token)).status).toBe(201);
  });

  test("is not sent where the line lacks the hash of the CA, and that ends the agent instead of being tried for ever", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    await expect(enrol({ controller: controller.url, token }, temporaryState())).rejects.toThrow(
      /is not of a public CA, and --ca-hash is missing\. The token was not sent\. Copy the whole line/,
    );
    expect((await tryToEnrol(controller, token)).status).toBe(201);
  });

  test("is used again with the same key by an agent that was stopped before the answer arrived", async () => {
    const controller = await startEnrolling();
    const { token, caHash: hash } = await controller.joinToken("a");
    const state = temporaryState();
    const key = makeHostKey();
    state.putAttempt({ joined: tokenHash(token), key });
    expect((await tryToEnrol(controller, token, { key })).status).toBe(201);
    const identity = await enrol({ controller: controller.url, token, caHash: hash ?? "" }, state);
    expect(identity.key).toBe(key);
    expect(state.findAttempt()).toBeUndefined();
  });

  test("and every certificate are in the audit trail, with identity and source", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const csr = await makeRequest(identity.key, "a");
    expect((await controller.ask({ identity }, "POST", "/v1/renew", { csr })).status).toBe(201);
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    const { entries } = await controller.call(200, "GET", "/v1/audit?limit=1000");
    const told = entries.slice(-4).map(({ actor, address, what }: Record<string, unknown>) => [actor, address, what]);
    expect(told).toEqual([
      [expect.stringMatching(/^token /), "127.0.0.1", [expect.stringMatching(/^join-token.created hosts\/a /)]],
      ["join token of a", "127.0.0.1", [expect.stringMatching(/^host.enrolled hosts\/a /)]],
      ["host a", "127.0.0.1", [expect.stringMatching(/^host.renewed hosts\/a /)]],
      [expect.stringMatching(/^token /), "127.0.0.1", ["host.revoked hosts/a"]],
    ]);
  });
});

describe("a certificate request", () => {
  test.each([
    ["nothing like it", "hello"],
    ["of another kind of PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ["cut short", "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"],
  ])("%s is refused, and does not use up the token", async (_what, csr) => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const { status, body } = await controller.ask({}, "POST", "/v1/enrol", { token, csr });
    expect([status, problemType(body)]).toEqual([400, "invalid-input"]);
    expect((await tryToEnrol(controller, token)).status).toBe(201);
  });

  test("for another party's key is refused: the caller must have the key", async () => {
    const controller = await startEnrolling();
    const { token } = await controller.joinToken("a");
    const pem = await makeRequest(makeHostKey(), "a");
    const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
    der.writeUInt8((der.at(-1) ?? 0) ^ 1, der.length - 1);
    const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    const { status, body } = await controller.ask({}, "POST", "/v1/enrol", { token, csr });
    expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining("is not signed by the key")]);
  });
});

describe("a host that is revoked", () => {
  test("is refused at once, its session is closed, and its join token ends", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const agent = await controller.agent(identity).connect();
    const { token } = await controller.joinToken("a");
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    expect((await controller.ask({ identity }, "GET", "/v1/hosts/a")).status).toBe(401);
    expect((await agent.closed).code).toBe(closeCodes.certificateEnded);
    await expect(controller.agent(identity).opened).rejects.toThrow("401");
    expect((await tryToEnrol(controller, token)).status).toBe(401);
    const csr = await makeRequest(identity.key, "a");
    expect((await controller.ask({ identity }, "POST", "/v1/renew", { csr })).status).toBe(401);
  });

  test("between the opening of its connection and its first frame gets no session", async () => {
    const controller = await startEnrolling();
    const agent = controller.agent(await controller.enrol("a"));
    await agent.opened;
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    agent.send(hello);
    expect((await agent.closed).code).toBe(closeCodes.certificateEnded);
    expect(agent.received).toEqual([]);
  });

  test("returns only with a new join command, also after a restart", async () => {
    const controller = await startEnrolling();
    const before = await controller.enrol("a");
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    const after = await controller.enrol("a");
    await controller.stop();
    const again = await startEnrolling({ db: controller.db });
    expect((await again.ask({ identity: before }, "GET", "/v1/hosts/a")).status).toBe(401);
    expect((await again.ask({ identity: after }, "GET", "/v1/hosts/a")).status).toBe(200);
    await again.agent(after).hello();
  });

  test("must exist", async () => {
    const controller = await startEnrolling();
    await controller.call(404, "POST", "/v1/hosts/nobody/revoke");
  });
});

test("a host that is deleted and registered again under the same name is a new host: the old certificate is not accepted", async () => {
  const controller = await startEnrolling();
  const identity = await controller.enrol("b");
  await controller.call(204, "DELETE", "/v1/hosts/b");
  await controller.call(201, "PUT", "/v1/hosts/b", { vtep: "192.0.2.2" });
  expect((await controller.ask({ identity }, "GET", "/v1/hosts/b")).status).toBe(401);
});

describe("a second live session of a host", () => {
  test("with the same key closes the older, and is reported", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const older = await controller.agent(identity).connect();
    const newer = await controller.agent(identity).connect();
    expect((await older.closed).code).toBe(closeCodes.replaced);
    expect(newer.isOpen).toBe(true);
    expect(await metricOf(controller, 'nearmiss_controller_second_sessions_total{outcome="replaced"}')).toBe(1);
  });

  test("with another key is refused, while the older works on, and is reported", async () => {
    const controller = await startEnrolling();
    const older = await controller.agent(await controller.enrol("a")).connect();
    const other = await controller.enrol("a");
    const newer = controller.agent(other);
    await newer.opened;
    newer.send(hello);
    expect((await newer.closed).code).toBe(closeCodes.hostTaken);
    older.send({ type: "resolve", id: 1, questions: [] });
    await older.frame("answers");
    expect(await metricOf(controller, 'nearmiss_controller_second_sessions_total{outcome="refused"}')).toBe(1);
    older.close();
    await older.closed;
    await controller.agent(other).connect();
  });
});

async function metricOf({ ask, adminToken }: EnrollingController, name: string): Promise<number> {
  const { body } = await ask({ token: adminToken }, "GET", "/metrics");
  return Number(
    String(body)
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.split(" ")[1],
  );
}
