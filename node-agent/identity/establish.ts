// The identity of this host, before the agent starts: stored, enrolled with a join token, or, without TLS, given by flags.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { VtepAddress } from "../../schema/address/index.ts";
import { takeVariable } from "../kernel/environment.ts";
import { RefusedError } from "./ask.ts";
import { enrol, TrustError } from "./enrol.ts";
import { type HostIdentity, HostState, StateError, tokenHash } from "./state.ts";

export interface IdentityFlags {
  /** Absent: the one that was enrolled with. */
  readonly controller?: URL;
  /** Absent: the enrolled one. */
  readonly host?: string;
  readonly vtep?: VtepAddress;
  readonly joinFile?: string;
  readonly caHash?: string;
  readonly stateDir: string;
}

export interface Established {
  readonly controller: URL;
  readonly host: string;
  /** Absent: over plain HTTP, as flags say. */
  readonly enrolled?: { readonly identity: HostIdentity; readonly state: HostState };
}

/** No agent can start like this; the message says what to do. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

const retryMs = 2_000;

/** Enrols if there is a join token; waits for a controller that does not answer yet. @throws IdentityError */
export async function establishIdentity(flags: IdentityFlags, log: Logger): Promise<Established> {
  try {
    return await establish(flags, log);
  } catch (error) {
    const known = error instanceof StateError || error instanceof TrustError || error instanceof RefusedError;
    if (known) throw new IdentityError(error.message);
    throw error;
  }
}

async function establish(flags: IdentityFlags, log: Logger): Promise<Established> {
  const { controller, host } = flags;
  // Always erased, needed or not: no later code can find it.
  const given = takeVariable("NEARMISS_JOIN") || undefined;
  if (controller?.protocol === "http:") {
    if (host === undefined) throw new IdentityError("over http: the agent needs --host, this host's name");
    return { controller, host };
  }
  const state = new HostState(flags.stateDir);
  const remembered = state.findIdentity();
  const token = readJoinFile(flags) ?? given;
  // The line may stand in a unit file and be run at each start: a token that was used here already is no reason to enrol.
  if (remembered && (token === undefined || remembered.joined === tokenHash(token))) {
    if (host !== undefined && host !== remembered.host) {
      throw new IdentityError(
        `this host is enrolled as "${remembered.host}" (${flags.stateDir}), not "${host}": leave out --host, or name ` +
          "another --state-dir",
      );
    }
    return {
      controller: controller ?? new URL(remembered.controller),
      host: remembered.host,
      enrolled: { identity: remembered, state },
    };
  }
  if (!controller) {
    throw new IdentityError("--controller is required: this host is not enrolled");
  }
  if (token === undefined) {
    throw new IdentityError(
      `this host is not enrolled (nothing in ${flags.stateDir}): run \`nearmiss host add ${host ?? "NAME"}\` where the ` +
        "operator's token is, and its output here",
    );
  }
  const identity = await enrolPatiently({ ...flags, controller, token }, state, log);
  log.info(
    { host: identity.host, stateDir: flags.stateDir },
    "enrolled: from now on run `nearmiss agent` without join flags",
  );
  return { controller, host: identity.host, enrolled: { identity, state } };
}

/** A refusal is final; a controller that does not answer may start later. */
async function enrolPatiently(
  line: IdentityFlags & { readonly controller: URL; readonly token: string },
  state: HostState,
  log: Logger,
): Promise<HostIdentity> {
  for (;;) {
    try {
      return await enrol(line, state);
    } catch (error) {
      const final = error instanceof TrustError || error instanceof StateError || isRefusal(error);
      if (final || !(error instanceof Error)) throw error;
      log.warn({ reason: error.message, controller: line.controller.href }, "not enrolled yet: retrying");
      await pause(retryMs);
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof RefusedError && error.status < 500 && error.status !== 429;
}

/** A token is never an argument of the command line, which `ps` shows to all users. */
function readJoinFile({ joinFile }: IdentityFlags): string | undefined {
  if (joinFile === undefined) return undefined;
  try {
    return readFileSync(joinFile, "utf8").trim();
  } catch (error) {
    throw new IdentityError(`cannot read --join-file: ${error instanceof Error ? error.message : error}`);
  }
}
