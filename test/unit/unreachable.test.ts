// What is said of a controller that cannot be reached, by what Node reports. Those that a test can cause: test/integration/cli-state.test.ts.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openHttp } from "../../cli/http.ts";
import { explainFailure } from "../../cli/unreachable.ts";

const settings = { controller: new URL("https://ctl.example.org:4788"), controllerFrom: "--controller" as const };
const failing = (code: string, message = code) => Object.assign(new Error(message), { code });
const said = async (error: unknown, env: Record<string, string> = {}) => {
  const { message, status } = await explainFailure(error, settings, env);
  expect(status).toBe(5);
  return message;
};

test.each([
  ["EAI_AGAIN", "the name server does not answer for ctl.example.org", "/etc/resolv.conf"],
  ["ENOTFOUND", "no host is named ctl.example.org", "/etc/hosts"],
  ["EHOSTUNREACH", "there is no route to ctl.example.org", "this machine's network"],
  ["ENETUNREACH", "there is no route to ctl.example.org", "this machine's network"],
  ["ETIMEDOUT", "ctl.example.org port 4788 does not answer", "firewalls between"],
  ["ECONNREFUSED", "nothing listens on ctl.example.org port 4788", "--listen"],
])("%s is said to be: %s", async (code, what, fix) => {
  const message = await said(failing(code));
  expect(message).toContain(`cannot be reached: ${what}`);
  expect(message).toContain(fix);
  expect(message).not.toMatch(/ECONN|EAI_|ENOT|ENET|EHOST/);
});

test("a server that accepts a connection and sends nothing is not said to refuse", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  onTestFinished(() => void silent.close());
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const call = { method: "GET", headers: {}, timeoutMs: 50 };
  const error = await openHttp(new URL(`http://127.0.0.1:${port}/`), call).catch((each: Error) => each);
  expect(await said(error)).toContain(
    "ctl.example.org port 4788 does not answer: no data was received for 0.05 s\nCheck the address, and firewalls",
  );
});

test("where several addresses of a name fail, the first one's reason is given; a proxy that is not used is named", async () => {
  const both = new AggregateError([failing("ECONNREFUSED"), failing("ENETUNREACH")]);
  const message = await said(both, { HTTPS_PROXY: "http://proxy:3128" });
  expect(message).toContain("nothing listens on");
  expect(message).toContain("https_proxy is set, but nearmiss uses no proxy");
});
