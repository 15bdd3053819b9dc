// A controller whose clock differs from its hosts': theirs is the machine's, with which TLS checks certificates.
import { pino } from "pino";
import { describe, expect, onTestFinished, test } from "vitest";
import { Authorities } from "../../controller/pki/authorities.ts";
import { pkiDirectory } from "../../controller/pki/authority-files.ts";
import { ownCertificate } from "../../controller/pki/server-certificate.ts";
import { ServerTls } from "../../controller/pki/server-tls.ts";
import { ControllerLink, type LinkHandlers } from "../../node-agent/controller-link/link.ts";
import { Renewal } from "../../node-agent/identity/renewal.ts";
import { agentPath } from "../../schema/agent/index.ts";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { enrolWith, graceMs, lifetimeMs, temporaryState } from "../support/enrolled.ts";
import { AgentClient, call, startSecured, temporaryDatabase } from "./harness.ts";

const hour = 3_600_000;
const silent = pino({ level: "silent" });

/** Dates everything by a clock that is ahead of the machine's. */
async function startAhead(aheadMs: number) {
  const now = () => new Date(Date.now() + aheadMs);
  const db = temporaryDatabase();
  const authorities = await Authorities.open(pkiDirectory(db), now);
  const source = ownCertificate(authorities, () => ["127.0.0.1"], lifetimeMs, now);
  const reachedAt = { host: "127.0.0.1", port: 0 };
  const server = await ServerTls.open({ authorities, source, reachedAt, now, log: silent });
  const tls = { server, certificateLifetimeMs: lifetimeMs, graceMs, now };
  const controller = await startSecured({ db, tls, now });
  const ca = authorities
    .list()
    .map(({ certificate }) => certificate.toString())
    .join("");
  return { ...controller, server, ca, now };
}

type Ahead = Awaited<ReturnType<typeof startAhead>>;

/** As `host add` and an agent do it, over HTTPS that is checked by the machine's clock. */
async function enrolHost({ app, server, adminToken }: Ahead) {
  const headers = { authorization: `Bearer ${adminToken}`, host: "127.0.0.1" };
  const put = await app.inject({ method: "PUT", url: "/v1/hosts/a", headers, payload: { vtep: "192.0.2.1" } });
  expect(put.statusCode).toBe(201);
  const made = await app.inject({ method: "POST", url: "/v1/hosts/a/join-token", headers, payload: {} });
  expect(made.statusCode).toBe(201);
  const state = temporaryState();
  return { state, identity: await enrolWith({ ...made.json(), controller: server.current.url }, state) };
}

describe("a controller's clock", () => {
  test.each([-24, -23, -1, 1, 23])(
    "that is %i h ahead does not prevent hosts from enrolling, connecting and renewing",
    async (hours) => {
      const controller = await startAhead(hours * hour);
      const { state, identity } = await enrolHost(controller);
      const { certificate: cert, key, ca } = identity;
      const agent = new AgentClient(`wss://${controller.base}${agentPath}`, "a", { cert, key, ca });
      await agent.connect();
      expect(agent.isOpen).toBe(true);
      const now = () => Date.now();
      const url = new URL(controller.server.current.url);
      const renewal = new Renewal(identity, { state, controller: url, log: silent, now, random: () => 0 });
      onTestFinished(() => renewal.stop());
      renewal.onTrust({ ca, issuer: "another, so that it renews at once" });
      await waitUntil(
        () => renewal.current.certificate,
        (certificate) => certificate !== identity.certificate,
        { what: "a new certificate" },
      );
    },
  );

  test("that is two days ahead is reported by the agent, with both times", async () => {
    const controller = await startAhead(48 * hour);
    const reasons: string[] = [];
    const handlers = { onClosed: (reason: string) => reasons.push(reason) } as unknown as LinkHandlers;
    const url = new URL(`https://${controller.base}`);
    const link = new ControllerLink(url, () => ({ certificate: "", key: "", ca: controller.ca }), handlers, silent);
    onTestFinished(() => link.stop());
    link.start();
    await waitUntil(
      () => link.status,
      ({ kind }) => kind === "waiting",
      { what: "the try to end" },
    );
    const { status } = link;
    const reason = status.kind === "waiting" ? status.reason : "";
    expect(reason).toMatch(
      /^the controller's certificate is not yet valid; this host's clock is at \d{4}-.*: compare it with the controller's$/,
    );
  });
});

test("a token expires by the controller's clock alone", async () => {
  const controller = await startSecured({ now: () => new Date(Date.now() + 25 * hour) });
  const inADay = new Date(Date.now() + 24 * hour).toISOString();
  const { status } = await controller.admin.request("POST", "/v1/tokens", { role: "viewer", expires: inADay });
  expect(status).toBe(400);
  await call(controller.admin, 200, "GET", "/v1/tokens");
});
