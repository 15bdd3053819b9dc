// The hosts that may send to this one, according to the controller, and the rules that drop frames of all others. Pure.
import { familyOf, type Vni, type VtepAddress } from "../../schema/address/index.ts";
import { type Elements, fillScript, tableName } from "./rule-table.ts";

/** The parameters of the rules. */
export interface Underlay {
  /** UDP port of this host's tunnels. */
  readonly port: number;
  readonly senders: ReadonlyMap<Vni, ReadonlySet<VtepAddress>>;
  /** Bridges with guests: frames from there are not from the underlay. */
  readonly bridges: readonly string[];
}

export const underlayReasons = ["sender", "guest"] as const;

/** Bits 96 … 119 behind the UDP header's begin are the VNI (RFC 768, RFC 7348 §5). */
const vniField = "@th,96,24";

/**
 * Hooks where UDP is delivered, on any device. Frames of VNIs that the agent does not serve pass: third-party vxlan devices
 * may share the port.
 */
export function underlayScript(): string {
  const refuse = (reason: (typeof underlayReasons)[number]): string => `counter name dropped_${reason} drop`;
  return `
table inet ${tableName} {}
delete table inet ${tableName}
table inet ${tableName} {
  counter dropped_sender {}
  counter dropped_guest {}
  set ports { type inet_service; }
  set vnis { typeof ${vniField}; }
  set senders4 { typeof ${vniField} . ip saddr; }
  set senders6 { typeof ${vniField} . ip6 saddr; }
  set bridges { type ifname; }
  chain tunnels {
    iifname @bridges ${refuse("guest")}
    ${vniField} != @vnis accept
    meta nfproto ipv4 ${vniField} . ip saddr @senders4 accept
    meta nfproto ipv6 ${vniField} . ip6 saddr @senders6 accept
    ${refuse("sender")}
  }
  chain input {
    type filter hook input priority -300; policy accept;
    udp dport @ports goto tunnels
  }
}
`;
}

export function underlayElements({ port, senders, bridges }: Underlay): Elements {
  const pairs = [...senders].flatMap(([vni, vteps]) => [...vteps].map((vtep) => ({ vni, vtep })));
  const of = (family: 4 | 6): string[] =>
    pairs.filter(({ vtep }) => familyOf(vtep) === family).map(({ vni, vtep }) => `${vni} . ${vtep}`);
  return fillScript(
    "inet",
    new Map([
      ["ports", [String(port)]],
      ["vnis", [...senders.keys()].map(String)],
      ["senders4", of(4)],
      ["senders6", of(6)],
      ["bridges", bridges.map((bridge) => `"${bridge}"`)],
    ]),
  );
}
