// Who is logged in. The token stays in this tab's sessionStorage: it is in no URL, no cookie, and gone with the tab.
import { computed, signal } from "@preact/signals";
import { defined } from "../common/defined.ts";
import type { IdentityView } from "../schema/rest/index.ts";
import { get, listenToApi, ProblemError, setBearer } from "./api.ts";
import { followOperationalEvents } from "./live/operational-events.ts";
import { stream } from "./live/stream.ts";

export type Session =
  | { readonly kind: "starting" }
  | { readonly kind: "out"; readonly because?: string }
  | { readonly kind: "in"; readonly identity: IdentityView };

const storageKey = "nearmiss.token";

export const session = signal<Session>({ kind: "starting" });

export const identity = computed(() => (session.value.kind === "in" ? session.value.identity : undefined));
/** May change VMs and networks, within its networks. */
export const mayWrite = computed(() => identity.value !== undefined && identity.value.role !== "viewer");
/** May see data that belongs to no network. */
export const seesAll = computed(() => identity.value?.networks === null);
/** Hosts belong to no network. */
export const mayWriteHosts = computed(() => mayWrite.value && seesAll.value);

let stopOperational = () => {};

export async function startSession(): Promise<void> {
  listenToApi({
    onRefusedToken: (reason) => {
      if (session.value.kind === "in") logOut(`The controller refuses this token now: ${reason}`);
    },
    onUnreachable: () => stream.suspect(),
  });
  const refusal = await enter(sessionStorage.getItem(storageKey) ?? undefined);
  if (refusal !== undefined) logOut(refusal);
}

/** With the token of this tab. Without one, first queries whether the controller requires one. */
async function enter(token: string | undefined): Promise<string | undefined> {
  if (token !== undefined) return logIn(token);
  try {
    const { authentication } = await get<{ authentication: "token" | "none" }>("/livez");
    if (authentication === "none") return logIn(undefined);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  logOut();
  return undefined;
}

/** @returns why not, or undefined where it went well */
export async function logIn(token: string | undefined): Promise<string | undefined> {
  setBearer(token);
  try {
    const identity = await get<IdentityView>("/v1/identity");
    if (token !== undefined) sessionStorage.setItem(storageKey, token);
    session.value = { kind: "in", identity };
    stopOperational();
    stopOperational = followOperationalEvents();
    stream.start({ token, epoch: identity.epoch, onRefused: logOut });
    return undefined;
  } catch (error) {
    setBearer(undefined);
    if (error instanceof ProblemError && error.problem.status === 401) return error.message;
    return error instanceof Error ? error.message : String(error);
  }
}

export function logOut(because?: string): void {
  sessionStorage.removeItem(storageKey);
  setBearer(undefined);
  stream.stop();
  stopOperational();
  session.value = { kind: "out", ...defined({ because }) };
}
