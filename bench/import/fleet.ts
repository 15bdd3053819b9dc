// The lines of a made-up fleet: networks of a thousand VMs, spread over all hosts.

const vmsPerNetwork = 1_000;

export interface FleetOptions {
  readonly vms: number;
  readonly hosts: number;
}

export const hostName = (n: number): string => `host-${n}`;

/** @param first number of the first host that the lines make: those before it stand already */
export function* fleetLines({ vms, hosts }: FleetOptions, first = 0): Generator<string> {
  const networks = Math.ceil(vms / vmsPerNetwork);
  for (let n = 0; n < networks; n++) {
    const subnets = [`10.${n % 250}.${Math.floor(n / 250) * 16}.0/20`, `fd00:${n.toString(16)}::/64`];
    yield line({ kind: "network", name: `net-${n}`, vni: 1_000 + n, subnets });
  }
  for (let n = first; n < hosts; n++) yield line({ kind: "host", name: hostName(n), vtep: vtepOf(n) });
  for (let n = 0; n < vms; n++) yield line({ kind: "vm", name: `vm-${n}`, host: hostName(n % hosts), ...attached(n) });
}

export function vtepOf(host: number): string {
  return `192.168.${Math.floor(host / 250)}.${(host % 250) + 1}`;
}

function attached(n: number): object {
  const network = Math.floor(n / vmsPerNetwork);
  const inside = (n % vmsPerNetwork) + 1;
  const ip = `10.${network % 250}.${Math.floor(network / 250) * 16 + (inside >> 8)}.${inside & 255}`;
  const bytes = [n >> 16, n >> 8, n].map((byte) => (byte & 255).toString(16).padStart(2, "0"));
  const ips = [ip, `fd00:${network.toString(16)}::${inside.toString(16)}`];
  return { interfaces: [{ network: `net-${network}`, mac: `52:54:00:${bytes.join(":")}`, ips }] };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
