// How the command line shows hosts.
import type { HostView } from "../../schema/rest/index.ts";
import type { Cell } from "../output.ts";
import { conditionFields, conditionsCell } from "./condition-cells.ts";
import { labelText } from "./resource.ts";
import type { Resource } from "./resource-kind.ts";

export const defaultPort = 4789;

export const hosts: Resource<HostView> = {
  kind: "host",
  plural: "hosts",
  noun: "host",
  nouns: "hosts",
  header: ["NAME", "VTEP", "AGENT", "APPLIED", "CONDITIONS", "LABELS"],
  row: (host) => [
    host.name,
    vtepOf(host),
    agentOf(host),
    appliedOf(host),
    conditionsCell(host.conditions, host.problems),
    labelText(host.labels),
  ],
  wideHeader: ["VMS", "VERSION", "LAST SEEN", "REGISTERED BY", "DESCRIPTION", "REVISION"],
  wideRow: ({ vms, agentVersion, lastSeen, origin, description, revision }) => [
    vms === undefined ? "-" : String(vms),
    agentVersion ?? "-",
    lastSeen === null ? "-" : `${lastSeen.slice(0, 19).replace("T", " ")}Z`,
    origin,
    description || "-",
    String(revision),
  ],
  fields: (host) => [
    ["vtep", vtepOf(host)],
    ["agent", agentOf(host)],
    // Absent for a token that is limited to networks, and of an earlier controller.
    ...(host.vms === undefined ? [] : [["VMs", String(host.vms)] as const]),
    ...(host.agentVersion === undefined ? [] : [["agent version", host.agentVersion] as const]),
    ["last seen", host.lastSeen ?? "not since the controller started"],
    ["applied", appliedOf(host)],
    ["registered by", host.origin],
    ...conditionFields(host.conditions),
    // Of an earlier controller.
    ...(host.conditions ? [] : host.problems.map((problem) => ["problem", { text: problem, colour: "red" }] as const)),
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
