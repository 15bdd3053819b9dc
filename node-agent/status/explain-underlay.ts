// What of other programs handles tunnelled packets on this host and cannot be read, so that it may drop them. Pure.
import { familyOf } from "../../schema/address/index.ts";
import { type Check, note } from "./check.ts";
import type { PathFacts } from "./facts.ts";

export function checkUnderlay({ kernel, tunnelEnd }: PathFacts): Check[] {
  const { legacyTables, underlayPrograms } = kernel;
  const iptables = tunnelEnd && familyOf(tunnelEnd.vtep) === 6 ? "ip6tables-legacy" : "iptables-legacy";
  const port = tunnelEnd?.vtepPort;
  return [
    ...underlayPrograms.map(({ device, kind }) =>
      kind === "xdp"
        ? note(
            "underlay",
            `an XDP program handles what arrives on ${device}, and may drop tunnelled packets`,
            `if nothing arrives, see which it is (ip -d link show dev ${device}), and ask who loads it`,
          )
        : note(
            "underlay",
            `a filter of traffic control handles the packets of ${device}, and may drop tunnelled ones`,
            `if nothing passes, see what it does (tc filter show dev ${device} ingress; tc filter show dev ${device} egress; bpftool net show dev ${device}), and ask who adds it`,
          ),
    ),
    ...(legacyTables.length > 0
      ? [
          note(
            "underlay",
            `${iptables} has tables (${legacyTables.join(", ")}), whose rules are not read`,
            `if nothing passes, see whether one drops UDP port ${port} (${iptables}-save)`,
          ),
        ]
      : []),
  ];
}
