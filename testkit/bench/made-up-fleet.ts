// The lines of a made-up fleet: networks of a thousand VMs, spread over all hosts.
import { type IpAddress, type MacAddress, parseIp, parseMac, parseVni, type Vni } from "../../schema/address/index.ts";

export const vmsPerNetwork = 1_000;
const firstVni = 1_000;
const linesPerImport = 100_000;

export interface FleetOptions {
  readonly vms: number;
  readonly hosts: number;
}

export const networkName = (n: number): string => `net-${n}`;
export const hostName = (n: number): string => `host-${n}`;

/** @param first number of the first host that the lines make: those before it exist already */
export function* fleetLines({ vms, hosts }: FleetOptions, first = 0): Generator<string> {
  const networks = Math.ceil(vms / vmsPerNetwork);
  for (let n = 0; n < networks; n++) {
    const subnets = [`10.${n % 250}.${Math.floor(n / 250) * 16}.0/20`, `fd00:${n.toString(16)}::/64`];
    yield line({ kind: "network", name: networkName(n), vni: firstVni + n, subnets });
  }
  for (let n = first; n < hosts; n++) yield line({ kind: "host", name: hostName(n), vtep: vtepOf(n) });
  for (let n = 0; n < vms; n++) {
    const { network, mac, ips } = addressesOf(n);
    const interfaces = [{ network: networkName(network), mac, ips }];
    yield line({ kind: "vm", name: `vm-${n}`, host: hostName(n % hosts), interfaces });
  }
}

/** The same in parts, each small enough for one import. */
export function* fleetImports(options: FleetOptions, lines = linesPerImport): Generator<Buffer> {
  let part: string[] = [];
  for (const line of fleetLines(options)) {
    part.push(line);
    if (part.length < lines) continue;
    yield Buffer.from(part.join(""));
    part = [];
  }
  if (part.length > 0) yield Buffer.from(part.join(""));
}

export function vtepOf(host: number): string {
  return `192.168.${Math.floor(host / 250)}.${(host % 250) + 1}`;
}

/** Where a VM is attached, as text: parsing all addresses of a large fleet takes seconds. */
export function addressesOf(vm: number) {
  const network = Math.floor(vm / vmsPerNetwork);
  const inside = (vm % vmsPerNetwork) + 1;
  const bytes = [vm >> 16, vm >> 8, vm].map((byte) => (byte & 255).toString(16).padStart(2, "0"));
  const ipv4 = `10.${network % 250}.${Math.floor(network / 250) * 16 + (inside >> 8)}.${inside & 255}`;
  const prefix = network === 0 ? "fd00" : `fd00:${network.toString(16)}`;
  const ips = [ipv4, `${prefix}::${inside.toString(16)}`] as const;
  return { network, vni: firstVni + network, mac: `52:54:00:${bytes.join(":")}`, ips };
}

interface Place {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ips: readonly [IpAddress, IpAddress];
}

function placeOf(vm: number): Place {
  const { vni, mac, ips } = addressesOf(vm);
  return { vni: parseVni(vni), mac: parseMac(mac), ips: [parseIp(ips[0]), parseIp(ips[1])] };
}

/** So many others of the network of a host's first VM: the likely partners of its guests. */
export function peersOf(host: number, vms: number, count: number): Place[] {
  const first = Math.floor(host / vmsPerNetwork) * vmsPerNetwork;
  const size = Math.min(vmsPerNetwork, vms - first);
  return Array.from({ length: Math.min(count, size - 1) }, (_, i) => placeOf(first + ((host - first + 1 + i) % size)));
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
