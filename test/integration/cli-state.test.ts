// Commands about the controller, the caller and the settings, and what is said where the controller cannot be reached.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { issueServerCertificate, makeCa } from "../../controller/pki/x509.ts";
import { cleanEnvironment, operatedForFile, runNearmiss } from "../support/binary.ts";
import { ControllerProcess, temporaryDirectory } from "../support/controller-process.ts";

const operated = operatedForFile(async (controller) => {
  await controller.ok("network", "create", "blue", "--vni", "100", "--subnet", "10.20.0.0/16");
  await controller.ok("host", "create", "a", "--vtep", "192.0.2.1");
  await controller.ok("host", "create", "b", "--vtep", "192.0.2.2");
});

/** The file of a new token. */
async function tokenFile(...args: string[]): Promise<string> {
  const file = join(temporaryDirectory(), "token");
  const { token } = JSON.parse(await operated().ok("token", "create", ...args, "-o", "json"));
  writeFileSync(file, `${token}\n`);
  return file;
}

describe("nearmiss status", () => {
  test("shows the counts, and ends with 7 only where something needs attention", async () => {
    const { run, ok, url } = operated();
    const quiet = await run(["status"]);
    expect(quiet.status).toBe(0);
    expect(quiet.stdout).toMatch(
      new RegExp(
        `^controller: ${url}, version 0\\.1\\.0, up .*, ready\nrevision: +\\d+, epoch [0-9a-f-]{36}\n` +
          "hosts: +2: 0 connected, 2 disconnected, 0 with other conditions\nnetworks: +1\nVMs: +0\n\nNothing needs attention.\n$",
      ),
    );
    await ok("vm", "create", "web-1", "--host", "a", "-i", "blue");
    await ok("host", "down", "b");
    const { status, stdout } = await run(["info"]);
    expect(status).toBe(7);
    expect(stdout).toMatch(/^hosts: +2: 0 connected, 2 disconnected, 1 marked down, 0 with other conditions$/m);
    expect(stdout).toMatch(
      /\nNeeds attention:\n {2}host a {2}host-away {2}no agent is connected: .*; 1 VM; start the agent.*\n$/,
    );
    const json = await run(["status", "-o", "json"]);
    expect(json.status).toBe(7);
    expect(JSON.parse(json.stdout)).toMatchObject({ controller: url, vms: 1, concernCount: 1, ready: true });
    await ok("vm", "delete", "web-1");
    await ok("host", "up", "b");
  });

  test("counts for a narrowed token what that token sees", async () => {
    const narrowed = await tokenFile("--role", "viewer", "--network", "blue");
    const { status, stdout } = await operated().run(["status", "--token-file", narrowed, "-o", "json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ networks: 1, hosts: 0, vms: 0, agentVersions: [] });
  });

  test("understands a controller that does not answer with the fields of later versions", async () => {
    const overview = { revision: 3, networks: 1, hosts: 2, hostsConnected: 2, vms: 5, concerns: [], concernCount: 0 };
    const at = await serving((_request, response) => response.end(JSON.stringify(overview)));
    const { status, stdout } = await runNearmiss(["status", "--controller", at]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^controller: http:\S+, ready\nrevision: +3\nhosts: +2: 2 connected, 0 disconnected/);
  });
});

describe("nearmiss whoami", () => {
  test("shows role, networks, hosts, limits and end of the token", async () => {
    const file = await tokenFile(
      ...[
        "--role",
        "operator",
        "--network",
        "blue",
        "--host",
        "a",
        "--max-vms",
        "5",
        "--note",
        "ci",
        "--expires",
        "2h",
      ],
    );
    const { stdout } = await operated().run(["whoami", "--token-file", file]);
    expect(stdout).toMatch(/^name: +token [0-9a-f]{8} \(ci\)\nrole: +operator: reads and changes\nnetworks: +blue\n/);
    expect(stdout).toMatch(
      /^places VMs on: a\nat most: +5 VMs, in use: 0 VMs, 0 addresses, 0 hosts\nexpires: +.*Z, in 1h 59m\n/m,
    );
    expect(stdout).toContain(`token from:    ${file} (--token-file)\n`);
    const admin = await operated().ok("whoami");
    expect(admin).toMatch(/^networks: +all\nplaces VMs on: all hosts\nexpires: +never\n/m);
  });
});

test("nearmiss version prints its own where the controller cannot be reached", async () => {
  const { run, ok, url } = operated();
  expect(await ok("version")).toBe(`nearmiss:   0.1.0 on Node ${process.versions.node}\ncontroller: 0.1.0 at ${url}\n`);
  expect(await ok("version", "--client", "--controller", "http://127.0.0.1:1")).toMatch(
    /^nearmiss: 0\.1\.0 on Node .*\n$/,
  );
  const away = await run(["version", "--controller", "http://127.0.0.1:1"]);
  expect(away).toMatchObject({ status: 5, stdout: expect.stringMatching(/^nearmiss: 0\.1\.0/) });
});

test("nearmiss config shows each setting with its origin, and no token", async () => {
  const { directory, env, url } = operated();
  const file = join(directory, "config.toml");
  writeFileSync(file, 'token-file = "secret"\nca = "ca.pem"\n');
  const { NEARMISS_TOKEN_FILE: _token, ...bare } = env;
  const shown = async (more: Record<string, string>, ...args: string[]) =>
    (await runNearmiss(["config", ...args], { env: { ...bare, ...more } })).stdout
      .split("\n")
      .map((line) => line.split(/ {2,}/));
  expect(await shown({ NEARMISS_CONFIG: file })).toEqual([
    ["SETTING", "VALUE", "FROM"],
    ["controller", `${url}/`, "NEARMISS_CONTROLLER"],
    ["token", `in ${join(directory, "secret")}`, file],
    ["ca", join(directory, "ca.pem"), file],
    ["config", file, "NEARMISS_CONFIG"],
    [""],
  ]);
  const [, , token] = await shown({ NEARMISS_TOKEN: "nm_viewer_hidden" }, "--config", file);
  expect(token).toEqual(["token", "(not shown)", "NEARMISS_TOKEN"]);
  expect(await shown({}, "--token-file", "/t", "--controller", "http://[::1]:7")).toContainEqual([
    "token",
    "in /t",
    "--token-file",
  ]);
});

/** Answers every request so. @returns its URL */
async function serving(answer: Parameters<typeof createHttpServer>[1]): Promise<string> {
  return listening(createHttpServer(answer as never));
}

async function listening(server: Server | ReturnType<typeof createHttpServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a controller that cannot be reached", () => {
  let secure: ControllerProcess;
  let ca: string;
  beforeAll(async () => {
    const ends: (() => Promise<void> | void)[] = [];
    const db = join(
      temporaryDirectory((end) => ends.push(end)),
      "nearmiss.db",
    );
    secure = await ControllerProcess.start(
      db,
      0,
      ["--tls", "self", "--name", "ctl.example.org", "--listen", "0.0.0.0:0"],
      (end) => ends.push(end),
    );
    ca = `${db}.pki/ca.pem`;
    return async () => {
      for (const end of ends.reverse()) await end();
    };
  });
  const failing = async (args: string[], env: Record<string, string> = {}) => {
    const { status, stderr } = await runNearmiss(["vm", "list", ...args], {
      env: { ...cleanEnvironment("/nonexistent"), ...env },
    });
    expect(status).toBe(5);
    // Nothing of Node, OpenSSL or the API.
    expect(stderr).not.toMatch(/\bE[A-Z]{5,}|ERR_|HPE_|\/v1\//);
    return stderr;
  };
  const port = () => new URL(secure.url).port;

  test("says that nothing listens, and that the address is the default", async () => {
    expect(await failing(["--controller", "http://127.0.0.1:1"])).toBe(
      "nearmiss: http://127.0.0.1:1 cannot be reached: nothing listens on 127.0.0.1 port 1\n" +
        "Check that the controller runs, and its --listen.\nThe address is from --controller.\n",
    );
    const proxied = await failing(["--controller", "http://127.0.0.1:1"], { HTTPS_PROXY: "http://proxy:3128" });
    expect(proxied).toContain("https_proxy is set, but nearmiss uses no proxy");
  });

  test("says that no host has the name", async () => {
    expect(await failing(["--controller", "http://nosuch.invalid"])).toMatch(
      /no host is named nosuch\.invalid|name server does not answer/,
    );
  });

  test("says that it serves HTTPS, or does not", async () => {
    expect(await failing(["--controller", `http://127.0.0.1:${port()}`])).toContain(
      `serves HTTPS\nWrite https://127.0.0.1:${port()} in place of http://127.0.0.1:${port()}.`,
    );
    expect(await failing(["--controller", operated().url.replace("http:", "https:")])).toContain(
      "it answers without TLS\nNothing was sent.",
    );
  });

  test("says which CA is missing or wrong, and which names a certificate has", async () => {
    const at = ["--controller", `https://127.0.0.1:${port()}`];
    expect(await failing(at)).toContain("its certificate is of an unknown CA\nName that CA with --ca or NEARMISS_CA");
    const other = join(temporaryDirectory(), "other.db");
    await ControllerProcess.start(other, 0, ["--tls", "self"], onTestFinished);
    const wrong = `${other}.pki/ca.pem`;
    expect(await failing([...at, "--ca", wrong])).toContain(`its certificate is not of the CA in ${wrong} (--ca)`);
    const named = await failing(["--controller", `https://127.0.0.2:${port()}`, "--ca", ca]);
    expect(named).toMatch(
      /its certificate is for .*ctl\.example\.org.*, not for 127\.0\.0\.2\nIf it is the right controller/,
    );
  });

  test.each([
    ["has expired", -30, -1, "Check this machine's clock. With --tls self"],
    ["is not valid yet", 1, 30, "Check this machine's clock and the controller's."],
  ])("says that its certificate %s", async (what, from, to, fix) => {
    const day = 86_400_000;
    const validity = { notBefore: new Date(Date.now() + from * day), notAfter: new Date(Date.now() + to * day) };
    const authority = await makeCa("a CA of a test", {
      notBefore: new Date(Date.now() - 60 * day),
      notAfter: new Date(Date.now() + 60 * day),
    });
    const issuer = { certificate: new X509Certificate(authority.certificate), key: createPrivateKey(authority.key) };
    const { certificate, key } = await issueServerCertificate(issuer, ["127.0.0.1"], validity);
    const file = join(temporaryDirectory(), "ca.pem");
    writeFileSync(file, authority.certificate);
    const at = await listening(createHttpsServer({ cert: certificate, key }));
    expect(await failing(["--controller", at.replace("http:", "https:"), "--ca", file])).toContain(
      `its certificate ${what}\n${fix}`,
    );
  });

  test("tells a proxy, another server and a server without an answer apart", async () => {
    const answers = async (status: number, headers: Record<string, string> = {}) =>
      failing([
        "--controller",
        await serving((_request, response) => response.writeHead(status, headers).end("<html>")),
      ]);
    expect(await answers(407, { via: "1.1 squid" })).toContain(
      "status 407 (via 1.1 squid)\nA proxy in between requires authentication",
    );
    expect(await answers(502, { server: "nginx" })).toContain(
      "It seems to be a proxy that cannot reach the controller",
    );
    expect(await answers(302, { location: "https://x.example/" })).toContain("It redirects to https://x.example/");
    expect(await answers(200, { "content-type": "text/html" })).toContain("is not a nearmiss controller: status 200");
    expect(await answers(200)).toContain("is not a nearmiss controller: status 200");
    const silent = await listening(createTcpServer((socket) => socket.destroy()));
    expect(await failing(["--controller", silent])).toContain("ended the connection without an answer");
  });
});

describe("a token", () => {
  const listed = (...args: string[]) => operated().run(["vm", "list", ...args]);

  test("that is missing, unknown, revoked or no token is said to be that, with its origin", async () => {
    const { env } = operated();
    const { NEARMISS_TOKEN_FILE: _file, ...bare } = env;
    const missing = await runNearmiss(["vm", "list"], { env: bare });
    expect(missing.stderr).toBe(
      "nearmiss: the controller requires a token, and none was sent\n" +
        "Name the file of a token with --token-file or NEARMISS_TOKEN_FILE.\n",
    );
    const file = await tokenFile("--role", "viewer");
    const { name } = JSON.parse((await operated().run(["whoami", "--token-file", file, "-o", "json"])).stdout);
    await operated().ok("token", "revoke", name.split(" ")[1]);
    const revoked = await listed("--token-file", file);
    expect(revoked.stderr).toContain(`the token is unknown: mistyped, revoked, or of another controller`);
    expect(revoked.stderr).toContain(`The token is from ${file} (--token-file).`);
    const other = join(temporaryDirectory(), "ca.pem");
    writeFileSync(other, "-----BEGIN CERTIFICATE-----\nsecret\n");
    const wrong = await listed("--token-file", other);
    expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining("does not contain a token") });
    expect(wrong.stderr).not.toContain("secret");
    expect((await listed("--token-file", temporaryDirectory())).stderr).toContain("(--token-file) is a directory");
    const noCa = await listed("--ca", file);
    expect(noCa).toMatchObject({ status: 2, stderr: expect.stringContaining("has no certificate in PEM") });
  });
});

test.each([
  [["network", "create", "x", "--vni", "99999999", "--subnet", "10.0.0.0/8"], /^nearmiss: --vni .*16777215/],
  [["network", "create", "x", "--vni", "7", "--subnet", "10.0.0.0/33"], /^nearmiss: --subnet "10\.0\.0\.0\/33"/],
  [["network", "create", "x", "--vni", "7", "--subnet", "10.0.0.0/8", "-l", "a b=c"], /^nearmiss: --label /],
  [["vm", "create", "x", "--host", "a", "-i", "network=blue,mac=zz"], /^nearmiss: --interface 1 mac= /],
  [
    ["vm", "create", "x", "--host", "a", "-i", "network=blue,port=a b"],
    /^nearmiss: --interface 1 port= has characters/,
  ],
  [["vm", "list", "--ip", "nonsense"], /^nearmiss: --ip /],
  [["network", "update", "blue", "--if-revision", "999", "--mtu", "1400"], /but --if-revision wants 999/],
  [["host", "create", "a", "--vtep", "192.0.2.9"], /^nearmiss: a host named "a" exists, at revision \d+\nUse `update`/],
])("%j is refused in the words that were typed", async (args, message) => {
  const { stderr } = await operated().run(args);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/PUT|PATCH|\/v1\/|If-Match|\^|\/(vni|subnets|labels|interfaces|ip)\b/);
});
