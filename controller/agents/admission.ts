// Which agents may open a session: those of known hosts, and with self-registration those that name their tunnel endpoint.
import { type AgentFrame, closeCodes, protocolVersions } from "../../schema/agent/index.ts";
import { type Host, parseHost } from "../../schema/rest/index.ts";
import type { Identity } from "../auth/identity.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Committer } from "../write/committer.ts";

export type Hello = Extract<AgentFrame, { type: "hello" }>;

/** Why there is no session. */
export class Rejection extends Error {
  override readonly name: string = "Rejection";
  constructor(
    readonly code: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** The agent's tunnel endpoint is refused. @param owner the host that has it, if that is the reason */
export class VtepRejection extends Rejection {
  constructor(
    readonly owner: string | undefined,
    reason: string,
  ) {
    super(closeCodes.hostUnknown, reason);
  }
}

/** @throws Rejection if there is no version that both support */
export function agreeOnProtocol(theirs: Hello["protocol"]): number {
  const version = Math.min(theirs.max, protocolVersions.max);
  if (version >= Math.max(theirs.min, protocolVersions.min)) return version;
  const { min, max } = protocolVersions;
  throw new Rejection(
    closeCodes.protocolUnsupported,
    `agent speaks protocol ${theirs.min} … ${theirs.max}, controller ${min} … ${max}: upgrade the older`,
  );
}

/** A host's name comes from its certificate: a frame with another name is from a misconfigured or rogue agent. */
export function checkName(identity: Identity, hello: Hello): void {
  if (identity.kind !== "host" || identity.name === hello.host) return;
  const reason = `the certificate is host "${identity.name}"'s: start the agent with --host ${identity.name}`;
  throw new Rejection(closeCodes.hostUnknown, reason);
}

/**
 * Registers the agent's host if that is allowed: the agent's tunnel endpoint is used only if no operator has registered the
 * host. Otherwise `findMismatch` reports a difference.
 */
export async function registerHost(committer: Committer, hello: Hello): Promise<void> {
  const { host: name, vtep, vtepPort: port } = hello;
  const known = committer.current.findHost(name);
  if (!vtep || known?.origin === "operator" || (known && !findMismatch(known, hello))) return;
  try {
    const by = { name: `host ${name}`, role: "host", scope: "all" } as const;
    await committer.mutate(by, { kind: "host.register", spec: parseHost(name, { vtep, port }, "agent") });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (!known) throw new VtepRejection(committer.current.findHostByVtep(vtep, port)?.name, error.message);
  }
}

/** @throws Rejection */
export function getHost(state: Inventory, name: string, selfRegistration: boolean): Host {
  const host = state.findHost(name);
  if (host) return host;
  const cure = selfRegistration ? "name the agent's --vtep" : "register it first (PUT /v1/hosts/…)";
  throw new Rejection(closeCodes.hostUnknown, `host "${name}" is not registered: ${cure}`);
}

/** Difference between the agent's VTEP and the registered one, which takes precedence: values of `vtep-mismatch`. Agents have no flag for the port. */
export function findMismatch(
  host: Host,
  { vtep: given }: Pick<Hello, "vtep">,
): Readonly<Record<string, string>> | undefined {
  return given === undefined || given === host.vtep ? undefined : { given, vtep: host.vtep };
}
