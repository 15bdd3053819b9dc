// Hosts identified by the loopback address from which they connect, for tests about the rights of a certified host, not
// about TLS: the address replaces the certificate at the point where TLS returns its name.
import { request } from "node:http";
import type { Socket } from "node:net";
import type { CertifiedHost } from "../../controller/auth/identity.ts";
import { agentPath } from "../../schema/agent/index.ts";
import { AgentClient, type Controller } from "../integration/harness.ts";

const names = ["a", "b", "c"] as const;
export type HostName = (typeof names)[number];

const addressOf = (host: HostName) => `127.0.1.${names.indexOf(host) + 1}`;

/** For the app's `findCertified`. */
export function findCertified({ remoteAddress }: Socket): CertifiedHost | undefined {
  const name = names.find((each) => addressOf(each) === remoteAddress);
  if (!name) return undefined;
  return { kind: "host", name, uid: name, generation: 0, key: name, issuer: "", expiresMs: Date.UTC(2100, 0) };
}

export function agentOf(controller: Controller, host: HostName, claimed: string = host): AgentClient {
  return new AgentClient(`ws://${controller.base}${agentPath}`, claimed, { localAddress: addressOf(host) });
}

/** A REST request with the host's certificate. */
export function requestAs(controller: Controller, host: HostName, method: string, path: string, body?: unknown) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = { localAddress: addressOf(host), method, headers: body === undefined ? {} : headers, agent: false };
    const call = request(`http://${controller.base}${path}`, options, (response) => {
      let received = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: received }));
    });
    call.on("error", reject);
    call.end(text);
  });
}
