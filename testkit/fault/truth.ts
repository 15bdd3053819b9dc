// The entries that a host's tables must have by the controller's inventory, and the differences of a dump from them.
// Pure, and on purpose without any code of the agent: the checker must not share code with the checked.

export interface TruthSource {
  readonly networks: readonly { readonly name: string; readonly vni: number }[];
  readonly hosts: readonly { readonly name: string; readonly vtep: string }[];
  readonly vms: readonly {
    readonly name: string;
    readonly host: string;
    readonly interfaces: readonly { readonly network: string; readonly mac: string; readonly ips: readonly string[] }[];
  }[];
}

export interface NetworkTruth {
  /** By IP, the MAC behind it. */
  readonly macOf: Map<string, string>;
  /** By MAC, the host that it is on, and that host's tunnel end. */
  readonly placeOf: Map<string, { readonly host: string; readonly vtep: string }>;
}

/** By VNI. */
export type Truth = ReadonlyMap<number, NetworkTruth>;

/** The entries of one network on one host, as iproute2 shows them. */
export interface Dump {
  readonly neighbours: readonly { readonly ip: string; readonly mac: string; readonly state: string }[];
  readonly tunnel: readonly { readonly mac: string; readonly vtep: string }[];
  readonly bridge: readonly { readonly mac: string }[];
}

export function truthOf({ networks, hosts, vms }: TruthSource): Truth {
  const vteps = new Map(hosts.map(({ name, vtep }) => [name, vtep]));
  const truth = new Map(
    networks.map(({ vni }): [number, NetworkTruth] => [vni, { macOf: new Map(), placeOf: new Map() }]),
  );
  const vnis = new Map(networks.map(({ name, vni }) => [name, vni]));
  for (const { host, interfaces } of vms) {
    for (const { network, mac, ips } of interfaces) {
      const facts = truth.get(vnis.get(network) ?? 0);
      facts?.placeOf.set(mac, { host, vtep: vteps.get(host) ?? "" });
      for (const ip of ips) facts?.macOf.set(ip, mac);
    }
  }
  return truth;
}

/** IPs of VMs that live on other hosts. */
export function remoteIps(truth: NetworkTruth, host: string, ips: Iterable<string>): string[] {
  return [...ips].filter((ip) => {
    const place = truth.placeOf.get(truth.macOf.get(ip) ?? "");
    return place !== undefined && place.host !== host;
  });
}

/**
 * Every fault in a host's entries, in words.
 * @param mustHold IPs that the host had cached and was not asked to forget: those that are still remote must still be
 * there
 */
export function deviations(truth: NetworkTruth, host: string, dump: Dump, mustHold: Iterable<string>): string[] {
  const wrong: string[] = [];
  const tunnels = new Set(dump.tunnel.map(({ mac }) => mac));
  const bridges = new Set(dump.bridge.map(({ mac }) => mac));
  for (const { ip, mac, state } of dump.neighbours) {
    const right = truth.macOf.get(ip);
    if (right !== mac) wrong.push(`${ip} leads to ${mac} instead of ${right ?? "nothing"}`);
    if (state !== "PERMANENT") wrong.push(`${ip} is ${state}, which becomes a black hole`);
    if (!tunnels.has(mac) || !bridges.has(mac)) wrong.push(`${ip} leads to ${mac}, which leads nowhere`);
  }
  for (const { mac, vtep } of dump.tunnel) {
    const place = truth.placeOf.get(mac);
    if (place?.host === host) wrong.push(`${mac} lives here and is on the tunnel all the same`);
    else if (place?.vtep !== vtep) wrong.push(`${mac} is sent to ${vtep} instead of ${place?.vtep ?? "nowhere"}`);
  }
  for (const { mac } of dump.bridge) {
    if (truth.placeOf.get(mac)?.host === host) wrong.push(`${mac} lives here and the bridge sends it into the tunnel`);
    else if (!tunnels.has(mac)) wrong.push(`the bridge sends ${mac} into the tunnel, which does not know it`);
  }
  const held = new Set(dump.neighbours.map(({ ip }) => ip));
  for (const ip of remoteIps(truth, host, mustHold)) if (!held.has(ip)) wrong.push(`${ip} is not there any more`);
  return wrong;
}
