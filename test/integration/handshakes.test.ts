// Simultaneous TLS handshakes: few at a time, in order, and none delays the others.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createServer, type TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { type HandshakeLimits, paceHandshakes } from "../../controller/auth/handshakes.ts";
import { issueServerCertificate, makeCa, validityFrom } from "../../controller/pki/x509.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { startEnrolling } from "../support/enrolled.ts";

async function pacedServer(limits: HandshakeLimits) {
  const validity = validityFrom(new Date(), 86_400_000);
  const ca = await makeCa("test", validity);
  const issuer = { certificate: new X509Certificate(ca.certificate), key: createPrivateKey(ca.key) };
  const { certificate, key } = await issueServerCertificate(issuer, ["127.0.0.1"], validity);
  const server = createServer({ cert: certificate, key }, (socket) => socket.end("hello"));
  server.on("tlsClientError", () => {});
  const begun: (number | undefined)[] = [];
  server.on("connection", ({ remotePort }) => begun.push(remotePort));
  const { charge, abandon } = paceHandshakes(server, limits);
  const accepted: Socket[] = [];
  server.prependListener("connection", (socket) => accepted.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const kept = <S extends Socket>(socket: S): S => {
    onTestFinished(() => void socket.destroy());
    return socket.on("error", () => {});
  };
  return {
    /** Ports of peers whose handshake has begun, in that order. */
    begun,
    /** The server's end of each connection. */
    accepted,
    charge,
    abandon,
    /** Connects, and says nothing. */
    silent: async (): Promise<Socket> => {
      const socket = kept(connectTcp(port, "127.0.0.1"));
      await once(socket, "connect");
      return socket;
    },
    client: (from = "127.0.0.1"): TLSSocket => {
      const source = { localAddress: from };
      return kept(connectTls({ port, host: "127.0.0.1", ca: ca.certificate, ...source }));
    },
  };
}

/** @returns the server's data after the handshake */
async function heard(client: TLSSocket): Promise<string> {
  const [data] = await once(client, "data");
  return String(data);
}

test("handshakes are limited in number; the next starts when one has ended", async () => {
  const { begun, silent, client } = await pacedServer({ underWay: 2, patienceMs: 60_000 });
  const [first, second] = [await silent(), await silent()];
  await waitFor(() => begun.length === 2, { what: "two handshakes to begin" });
  const waits = client();
  await once(waits, "connect");
  const last = client();
  await once(last, "connect");
  const ports = [waits.localPort, last.localPort];
  // The first of the two that wait takes the place; the other follows as soon as it is done.
  first.destroy();
  expect(await Promise.all([heard(waits), heard(last)])).toEqual(["hello", "hello"]);
  expect(begun.slice(2)).toEqual(ports);
  expect(second.destroyed).toBe(false);
});

test("a crowd begins in several turns of the event loop", async () => {
  const { begun, silent } = await pacedServer({ underWay: 48, perTurn: 2, patienceMs: 60_000 });
  const inTurn: number[] = [];
  let before = 0;
  let isCounting = true;
  const count = () => {
    inTurn.push(begun.length - before);
    before = begun.length;
    if (isCounting) setImmediate(count);
  };
  count();
  await Promise.all(Array.from({ length: 30 }, () => silent()));
  await waitFor(() => begun.length === 30, { what: "all handshakes to begin" });
  isCounting = false;
  expect(Math.max(...inTurn)).toBeLessThanOrEqual(2);
});

test("a source that completes no handshake leaves places to others", async () => {
  const { begun, silent, client } = await pacedServer({ underWay: 3, perSource: 2, patienceMs: 60_000 });
  for (let n = 0; n < 4; n++) await silent();
  await waitFor(() => begun.length === 2, { what: "two handshakes to begin" });
  expect(await heard(client("127.0.0.2"))).toBe("hello");
  expect(begun).toHaveLength(3);
});

test("a source that exceeds its rate waits, another does not", async () => {
  const { begun, silent, client } = await pacedServer({
    underWay: 48,
    rate: { perSecond: 2, burst: 2 },
    patienceMs: 60_000,
  });
  for (let n = 0; n < 3; n++) await silent();
  await waitFor(() => begun.length === 2, { what: "two handshakes to begin" });
  expect(await heard(client("127.0.0.2"))).toBe("hello");
  expect(begun).toHaveLength(3);
  await waitFor(() => begun.length === 4, { what: "the third to begin with time" });
});

test("a source that was charged waits as long as it would have for so many handshakes", async () => {
  const { begun, silent, client, charge } = await pacedServer({
    underWay: 48,
    rate: { perSecond: 2, burst: 4 },
    patienceMs: 60_000,
  });
  charge("127.0.0.1", 4);
  const charged = await silent();
  expect(await heard(client("127.0.0.2"))).toBe("hello");
  expect(begun).not.toContain(charged.localPort);
  await waitFor(() => begun.includes(charged.localPort), { what: "the handshake to begin with time" });
});

test("one that stays silent keeps its place for a moment only", async () => {
  const { begun, silent, client } = await pacedServer({ underWay: 1, patienceMs: 30 });
  const mute = await silent();
  await waitFor(() => begun.length === 1, { what: "a handshake to begin" });
  expect(await heard(client())).toBe("hello");
  expect(mute.destroyed).toBe(false);
});

test("a peer that disconnected while waiting costs nothing", async () => {
  const { begun, silent, client } = await pacedServer({ underWay: 1, patienceMs: 60_000 });
  const mute = await silent();
  await waitFor(() => begun.length === 1, { what: "a handshake to begin" });
  const gone = await silent();
  gone.resetAndDestroy();
  const patient = client();
  await once(patient, "connect");
  mute.destroy();
  expect(await heard(patient)).toBe("hello");
});

test("one that was abandoned does not begin; one that has begun is not abandoned", async () => {
  const { begun, accepted, abandon, silent, client } = await pacedServer({ underWay: 1, patienceMs: 60_000 });
  const first = await silent();
  await waitFor(() => begun.length === 1, { what: "a handshake to begin" });
  const second = await silent();
  await waitFor(() => accepted.length === 2, { what: "both to be accepted" });
  expect(accepted.map(abandon)).toEqual([false, true]);
  const third = client();
  await once(third, "connect");
  first.destroy();
  expect(await heard(third)).toBe("hello");
  expect(begun).not.toContain(second.localPort);
  second.resetAndDestroy();
  await waitFor(() => accepted[1]?.destroyed === true, { what: "the reset to arrive" });
});

test("hundreds at once are all answered", async () => {
  const { ask, adminToken } = await startEnrolling({ door: { requestsPerSecond: 10_000, unprovenConnections: 1_000 } });
  const answers = await Promise.all(
    Array.from({ length: 300 }, () => ask({ token: adminToken }, "GET", "/v1/hosts/a")),
  );
  expect(answers.filter(({ status }) => status === 200).length).toBe(300);
});
