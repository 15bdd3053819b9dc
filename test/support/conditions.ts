// An example of each kind of condition, with values of the right form.
import { parseVni } from "../../schema/address/index.ts";
import {
  allConditionKinds,
  type ConditionValueType,
  type HostConditionKind,
  placeholdersOf,
  type ReportedCondition,
} from "../../schema/agent/index.ts";

const samples: Readonly<Record<ConditionValueType, string>> = {
  device: "eth0",
  number: "1450",
  network: "blue",
  ip: "10.0.0.1",
  mac: "52:54:00:00:00:01",
  filter: "iptables",
  lost: "all IPv4",
  chain: "ip filter FORWARD",
  guard: "--anti-spoof",
  reasons: "mac",
  entries: "put neighbour 100 10.0.0.1",
  errno: "EBUSY",
  make: "ip link add vx type vxlan id 100 local 192.0.2.1 dstport 4789 nolearning proxy l2miss l3miss; ip link set vx up",
  misfits: "it has VNI 7",
  time: "2026-11-21T09:54:31.944Z",
  vms: "1 VM",
  name: "b",
};

/** With the kind's first reason. @param values instead of the samples */
export function exampleOf(
  kind: HostConditionKind,
  vni: number,
  values: Readonly<Record<string, string>> = {},
): ReportedCondition {
  const { about, texts } = allConditionKinds[kind];
  const [[reason, text] = ["", ""]] = Object.entries(texts);
  const own = placeholdersOf(text)
    .filter(({ name }) => name !== "network")
    .map(({ name, type }) => [name, values[name] ?? samples[type]]);
  return { kind, reason, ...(about === "host" ? {} : { vni: parseVni(vni) }), values: Object.fromEntries(own) };
}
