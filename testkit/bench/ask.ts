// One request over its own connection, with or without TLS.
import { request as plain } from "node:http";
import { request as overTls } from "node:https";

export interface Ask {
  readonly url: string;
  /** The CA for checking the server; absent or empty: nothing is checked. */
  readonly ca?: string;
  readonly token?: string;
  /** Posted as JSON; absent: GET. */
  readonly body?: object;
  /** Default: POST with a body, GET without. */
  readonly method?: string;
  /** The source address: limits are by address. */
  readonly localAddress?: string;
}

/** Every status is an answer. */
export function ask({
  url,
  ca,
  token,
  body,
  method = body ? "POST" : "GET",
  localAddress,
}: Ask): Promise<{ status: number; text: string }> {
  const request = url.startsWith("https:") ? overTls : plain;
  const headers = {
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(body ? { "content-type": "application/json" } : {}),
  };
  const options = { method, headers, agent: false, localAddress, ...(ca ? { ca } : { rejectUnauthorized: false }) };
  return new Promise((resolve, reject) => {
    const call = request(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", reject).end(body && JSON.stringify(body));
  });
}
