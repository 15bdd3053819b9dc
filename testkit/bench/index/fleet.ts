// A made-up fleet as resources: each VM has an IPv4 and an IPv6 address, and a port. Networks of a thousand VMs, spread
// over all hosts.
import { randomUUID } from "node:crypto";
import { parseRevision } from "../../../schema/address/index.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { parseHost, parseNetwork, type Vm } from "../../../schema/rest/index.ts";
import { fleetLines } from "../made-up-fleet.ts";

const vmsPerHost = 100;
const minHosts = 10;

export function* resourcesOf(vms: number): Generator<ResourceChange> {
  const hosts = Math.max(minHosts, Math.ceil(vms / vmsPerHost));
  for (const text of fleetLines({ vms, hosts })) {
    const { kind, name, ...rest } = JSON.parse(text);
    const stored = { uid: randomUUID(), revision: parseRevision(1) };
    if (kind === "network") yield { kind, before: null, after: { ...parseNetwork(name, rest), ...stored } };
    else if (kind === "host") yield { kind, before: null, after: { ...parseHost(name, rest, "operator"), ...stored } };
    else {
      const interfaces = (rest.interfaces as Vm["interfaces"]).map((each) => ({
        ...each,
        name: "eth0",
        port: `tap${name.slice(3)}`,
      }));
      yield {
        kind,
        before: null,
        after: { name, host: rest.host, interfaces, labels: {}, description: "", ...stored },
      };
    }
  }
}
