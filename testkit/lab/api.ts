// HTTP and WebSocket from this process to a server inside a namespace.
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { WebSocket } from "ws";
import { inNamespace } from "./namespace.ts";
import { waitFor } from "./wait.ts";

/** `Body` is the type that the caller expects, which nothing checks. */
export interface ApiReply<Body = unknown> {
  readonly status: number;
  /** Parsed where it is JSON, text otherwise, undefined where empty. */
  readonly body: Body;
}

export interface Server {
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
  /** Absent: plain HTTP, without a token. */
  readonly secrets?: { readonly ca: string; readonly token: string };
}

/**
 * Node opens and connects a TCP socket within the callback of its name lookup. Calling that back inside the namespace
 * puts the socket there, where it stays; everything else is unchanged.
 */
function lookupInside({ namespace, address }: Server): LookupFunction {
  const family = address.includes(":") ? 6 : 4;
  return (_name, _options, callback) => inNamespace(namespace, () => callback(null, address, family));
}

/** Lookups happen for names only, never for addresses. One address: nothing to choose among. */
function connection(server: Server) {
  const { address, port, secrets } = server;
  const tls = secrets && {
    ca: secrets.ca,
    checkServerIdentity: (_name: string, certificate: PeerCertificate) => checkServerIdentity(address, certificate),
  };
  return { host: "controller.lab", port, lookup: lookupInside(server), autoSelectFamily: false, ...tls };
}

function bearer({ secrets }: Server): Record<string, string> {
  return secrets ? { authorization: `Bearer ${secrets.token}` } : {};
}

/** As a client on the underlay would name it: the name that causes the look-up does not exist. */
function hostHeader({ address, port }: Server): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** @throws Error if there is no reply within 30 s; every status is a reply */
export function callApi<Body>(server: Server, method: string, path: string, body?: unknown): Promise<ApiReply<Body>> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return new Promise((resolve, reject) => {
    const content = text === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(text) };
    const headers = { host: hostHeader(server), ...bearer(server), ...content };
    const request = server.secrets ? requestHttps : requestHttp;
    const call = request({ ...connection(server), method, path, headers, agent: false }, (response) => {
      let received = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        const isJson = /\bjson\b/.test(response.headers["content-type"] ?? "");
        const parsed = isJson && received !== "" ? (JSON.parse(received) as unknown) : received || undefined;
        resolve({ status: response.statusCode ?? 0, body: parsed as Body });
      });
    });
    call.setTimeout(30_000, () => call.destroy(new Error(`${method} ${path}: no reply within 30 s`)));
    call.on("error", reject);
    call.end(text);
  });
}

/** A WebSocket that misses nothing: messages that arrive with the handshake are kept too. */
export class LabWebSocket {
  /** All text messages so far. */
  readonly messages: string[] = [];
  /** Resolves with the close code. */
  readonly closed: Promise<number>;

  constructor(readonly socket: WebSocket) {
    socket.on("message", (data) => this.messages.push(String(data)));
    this.closed = new Promise((resolve) => socket.on("close", (code) => resolve(code)));
  }

  /** The first message, past or to come, that satisfies `predicate`. @throws WaitError */
  waitForMessage(predicate: (text: string) => boolean): Promise<string> {
    return waitFor(() => this.messages.find(predicate), { what: "a message on the WebSocket" });
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

/** Resolves when open. @throws Error with the status where the server refuses */
export function openWebSocket(server: Server, path: string): Promise<LabWebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new LabWebSocket(
      new WebSocket(`${server.secrets ? "wss" : "ws"}://controller.lab:${server.port}${path}`, {
        ...connection(server),
        headers: { host: hostHeader(server), ...bearer(server) },
        perMessageDeflate: false,
      }),
    );
    socket.socket.once("open", () => resolve(socket));
    // After `open` a failure also closes the socket, which ends the reader's wait.
    socket.socket.on("error", reject);
  });
}
