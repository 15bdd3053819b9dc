// Certificates and join tokens in the wrong hands: each is refused with the right answer, changes nothing, and does no
// harm.
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { Authorities } from "../../controller/pki/authorities.ts";
import { issueHostCertificate, makeCa, readHostRequest, validityFrom } from "../../controller/pki/x509.ts";
import { makeHostKey, makeRequest } from "../../node-agent/identity/request.ts";
import type { HostIdentity } from "../../node-agent/identity/state.ts";
import { closeCodes } from "../../schema/agent/index.ts";
import { problemType } from "../integration/harness.ts";
import { type EnrollingController, lifetimeMs, startEnrolling } from "../support/enrolled.ts";

/** The answers of each entry point to this credential: an ordinary read, the agent channel, a renewal. */
async function attempts(controller: EnrollingController, identity: HostIdentity) {
  const read = await controller.ask({ identity }, "GET", "/v1/hosts/a");
  const csr = await makeRequest(identity.key, identity.host);
  const renewal = await controller.ask({ identity }, "POST", "/v1/renew", { csr });
  const channel = await controller.agent(identity).opened.then(
    () => "open",
    (error: Error) => error.message,
  );
  return [read.status, problemType(read.body), channel, renewal.status];
}

const refused = [401, "unauthenticated", "Unexpected server response: 401", 401];

/** The certificate of another CA for the same host, uid and all. */
async function forge(controller: EnrollingController, victim: HostIdentity): Promise<HostIdentity> {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const foreign = await Authorities.open(directory, () => new Date());
  const key = makeHostKey();
  const request = await readHostRequest(await makeRequest(key, "a"));
  const { uid } = await controller.call(200, "GET", "/v1/hosts/a");
  const validity = validityFrom(new Date(), lifetimeMs);
  const certificate = await issueHostCertificate(foreign.issuing, request, { host: "a", uid, generation: 0 }, validity);
  return { ...victim, key, certificate };
}

describe("a certificate", () => {
  test("of a foreign CA that names one of our hosts grants no access", async () => {
    const controller = await startEnrolling();
    const victim = await controller.enrol("a");
    const honest = await controller.agent(victim).connect();
    expect(await attempts(controller, await forge(controller, victim))).toEqual(refused);
    expect(honest.isOpen).toBe(true);
  });

  test("that is self-signed grants no access", async () => {
    const controller = await startEnrolling();
    const victim = await controller.enrol("a");
    const self = await makeCa("urn:nearmiss:host:a", validityFrom(new Date(), lifetimeMs));
    expect(await attempts(controller, { ...victim, ...self })).toEqual(refused);
  });

  test("that has expired grants only its own renewal, and not even that once the grace period is over", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    controller.clock.advance(lifetimeMs + 1_000);
    expect(await attempts(controller, identity)).toEqual([...refused.slice(0, 3), 201]);
    controller.clock.advance(lifetimeMs);
    expect(await attempts(controller, identity)).toEqual(refused);
  });

  test("that was stolen is useless once its host is revoked", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    await controller.call(204, "POST", "/v1/hosts/a/revoke");
    // Its agent removes what it has on disk then; a thief learns what the operator has done.
    expect(await attempts(controller, identity)).toEqual([401, "host-revoked", ...refused.slice(2)]);
  });

  test("is valid for its host only, whatever name a frame or a request states", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const victim = await controller.agent(await controller.enrol("b")).connect();
    const rogue = controller.agent(identity, "b");
    await rogue.opened;
    rogue.send({ type: "hello", protocol: { min: 1, max: 1 }, version: "test", host: "b", vtepPort: 4789 });
    expect((await rogue.closed).code).toBe(closeCodes.hostUnknown);
    const csr = await makeRequest(identity.key, "b");
    expect((await controller.ask({ identity }, "POST", "/v1/renew", { csr })).status).toBe(403);
    expect(victim.isOpen).toBe(true);
  });

  test("without its key fails the handshake", async () => {
    const controller = await startEnrolling();
    const { certificate } = await controller.enrol("a");
    const attempt = controller.ask({ identity: { certificate, key: makeHostKey() } }, "GET", "/v1/hosts/a");
    await expect(attempt).rejects.toThrow(/key values mismatch/);
  });
});

describe("a join token", () => {
  test.each([
    ["guessed", "nmj_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["with SQL in it", "' OR host = 'a' --"],
    ["empty", ""],
  ])("%s is refused", async (_how, token) => {
    const controller = await startEnrolling();
    await controller.joinToken("a");
    const csr = await makeRequest(makeHostKey(), "a");
    const { status, body } = await controller.ask({}, "POST", "/v1/enrol", { token, csr });
    expect([status, problemType(body)]).toEqual([401, "unauthenticated"]);
  });

  test("and a certificate are not accepted as API tokens, nor the reverse", async () => {
    const controller = await startEnrolling();
    const identity = await controller.enrol("a");
    const { token } = await controller.joinToken("b");
    expect((await controller.ask({ token }, "GET", "/v1/vms")).status).toBe(401);
    const csr = await makeRequest(makeHostKey(), "b");
    const body = { token: controller.adminToken, csr };
    expect((await controller.ask({}, "POST", "/v1/enrol", body)).status).toBe(401);
    const joining = await controller.ask({ identity }, "POST", "/v1/hosts/b/join-token", {});
    expect([joining.status, problemType(joining.body)]).toEqual([403, "forbidden"]);
  });
});

describe("a connection", () => {
  test("that never begins its handshake is closed, while others are served", async () => {
    const controller = await startEnrolling();
    const port = Number(controller.url.port);
    const ends = Array.from({ length: 20 }, () => {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      return new Promise((resolve) => socket.once("close", resolve));
    });
    await controller.call(200, "GET", "/v1/hosts");
    await Promise.all(ends);
  });

  test("below TLS 1.2, or without TLS, is refused", async () => {
    const controller = await startEnrolling();
    const port = Number(controller.url.port);
    const old = connectTls({
      port,
      host: "127.0.0.1",
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
      ca: controller.trust(),
    });
    await expect(new Promise((_, reject) => old.once("error", reject))).rejects.toThrow();
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      const plain = connect(port, "127.0.0.1").on("error", () => {});
      plain.on("data", (data) => {
        text += data.toString("latin1");
      });
      plain.once("close", () => resolve(text));
      plain.write(`GET /livez HTTP/1.1\r\nHost: ${controller.base}\r\n\r\n`);
    });
    expect(answer).not.toContain("200");
  });
});
