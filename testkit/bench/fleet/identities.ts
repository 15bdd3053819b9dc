// Enrols every host of a fleet: with an operator's join token and its own key.
import { makeHostKey, makeRequest } from "../../../node-agent/identity/request.ts";
import { type Credentials, enrolPath } from "../../../schema/agent/index.ts";
import type { JoinTokenView } from "../../../schema/rest/index.ts";
import { ask } from "../ask.ts";
import type { BenchController } from "../controller.ts";
import { hostName } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";

/** PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** So many at one time. */
const windowSize = 16;

export async function enrolAll(controller: BenchController, hosts: number, progress: Progress): Promise<Identity[]> {
  const { url, ca, adminToken: token } = controller;
  const post = async <Body>(path: string, body: object, more: object): Promise<Body> => {
    const { status, text } = await ask({ url: `${url}${path}`, ca, body, ...more });
    if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text) as Body;
  };
  const identities: Identity[] = [];
  const left = Array.from({ length: hosts }, (_, n) => n).values();
  const work = async (): Promise<void> => {
    for (const n of left) {
      const join = await post<JoinTokenView>(`/v1/hosts/${hostName(n)}/join-token`, {}, { token });
      const key = makeHostKey();
      const csr = await makeRequest(key, hostName(n));
      const localAddress = loopbackOf(n);
      const { certificate } = await post<Credentials>(enrolPath, { token: join.token, csr }, { localAddress });
      identities[n] = { certificate, key };
      progress(`${n} of ${hosts} hosts enrolled`);
    }
  };
  await Promise.all(Array.from({ length: windowSize }, work));
  return identities;
}

/** Hosts have an address each, and some limits are by address. */
export function loopbackOf(host: number): string {
  return `127.${64 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`;
}
