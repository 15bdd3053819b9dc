// How the command line shows hosts.
import type { HostView } from "../../schema/rest/index.ts";
import type { Cell } from "../output.ts";
import { labelText } from "./resource.ts";
import type { Resource } from "./resource-kind.ts";

export const defaultPort = 4789;

export const hosts: Resource<HostView> = {
  kind: "host",
  plural: "hosts",
  noun: "host",
  nouns: "hosts",
  header: ["NAME", "VTEP", "AGENT", "APPLIED", "PROBLEMS", "LABELS"],
  row: (host) => [host.name, vtepOf(host), agentOf(host), appliedOf(host), problemsOf(host), labelText(host.labels)],
  wideHeader: ["LAST SEEN", "REGISTERED BY", "DESCRIPTION", "REVISION"],
  wideRow: ({ lastSeen, origin, description, revision }) => [
    lastSeen === null ? "-" : `${lastSeen.slice(0, 19).replace("T", " ")}Z`,
    origin,
    description || "-",
    String(revision),
  ],
  fields: (host) => [
    ["vtep", vtepOf(host)],
    ["agent", agentOf(host)],
    ["last seen", host.lastSeen ?? "not since the controller started"],
    ["applied", appliedOf(host)],
    ["registered by", host.origin],
    ...host.problems.map((problem) => ["problem", { text: problem, colour: "red" }] as const),
  ],
};

function vtepOf({ vtep, port }: HostView): string {
  if (port === defaultPort) return vtep;
  return vtep.includes(":") ? `[${vtep}]:${port}` : `${vtep}:${port}`;
}

function agentOf({ connected, down }: HostView): Cell {
  if (down) return { text: connected ? "marked down" : "down", colour: "red" };
  return connected ? { text: "connected", colour: "green" } : { text: "disconnected", colour: "yellow" };
}

function appliedOf({ appliedRevision }: HostView): string {
  return appliedRevision === null ? "-" : String(appliedRevision);
}

function problemsOf({ problems }: HostView): Cell {
  return problems.length === 0 ? "none" : { text: String(problems.length), colour: "red" };
}
