// Two made-up hosts with a VM each in one network, to run the code of answers with before and between real questions.
import { parseIp, parseMac, parseRevision, parseVni } from "../../schema/address/index.ts";
import type { Question } from "../../schema/agent/index.ts";
import { parseHost, parseNetwork, type Vm } from "../../schema/rest/index.ts";
import { CommittedInventory } from "../inventory/committed-inventory.ts";
import type { Inventory } from "../inventory/inventory.ts";

export const madeUpHosts = ["h1", "h2"] as const;
export const madeUpRevision = parseRevision(1);

/** By address family: the VM on the second host is asked for by that on the first. */
export const madeUpQuestions: readonly Question[] = [
  { kind: "ip", vni: parseVni(1), ip: parseIp("192.0.2.2"), asker: parseIp("192.0.2.1") },
  { kind: "ip", vni: parseVni(1), ip: parseIp("2001:db8::2"), asker: parseIp("2001:db8::1") },
];

export function madeUpInventory(): Inventory {
  const stored = { uid: "warm-up", revision: madeUpRevision };
  const vm = (n: number): Vm => ({
    name: `vm-${n}`,
    host: `h${n}`,
    interfaces: [
      {
        name: "eth0",
        network: "n",
        mac: parseMac(`02:00:00:00:00:0${n}`),
        ips: [parseIp(`192.0.2.${n}`), parseIp(`2001:db8::${n}`)],
      },
    ],
    labels: {},
    description: "",
    ...stored,
  });
  return CommittedInventory.of({
    networks: [{ ...parseNetwork("n", { vni: 1, subnets: ["192.0.2.0/24", "2001:db8::/64"] }), ...stored }],
    hosts: [1, 2].map((n) => ({ ...parseHost(`h${n}`, { vtep: `198.51.100.${n}` }, "operator"), ...stored })),
    vms: [vm(1), vm(2)],
  });
}
