// The cast: two tenants with the same addresses, and their guests on three hosts.
export const hostNames = ["a", "b", "c"] as const;
export type HostName = (typeof hostNames)[number];

export interface CastNetwork {
  readonly name: string;
  readonly vni: number;
}

export const blue: CastNetwork = { name: "blue", vni: 100 };
export const red: CastNetwork = { name: "red", vni: 200 };
export const networks = [blue, red] as const;
export const subnets = ["10.20.1.0/24", "fd00:20::/64"] as const;
export const mtu = 1_450;

export interface CastMember {
  readonly name: string;
  readonly host: HostName;
  readonly network: CastNetwork;
  readonly mac: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** The third byte from the right distinguishes the networks' MACs; their IP addresses are the same. */
function member(network: CastNetwork, role: string, host: HostName, number: number): CastMember {
  const tenant = network === blue ? "b1" : "ed";
  return {
    name: `${network.name}-${role}`,
    host,
    network,
    mac: `52:54:00:${tenant}:00:0${number}`,
    ipv4: `10.20.1.${number}`,
    ipv6: `fd00:20::${number}`,
  };
}

export const blueWeb = member(blue, "web", "a", 1);
export const blueDb = member(blue, "db", "b", 2);
export const blueCache = member(blue, "cache", "c", 3);
export const redWeb = member(red, "web", "a", 1);
export const redDb = member(red, "db", "c", 2);
/** Its addresses exist in red only. */
export const redVault = member(red, "vault", "b", 9);
export const members = [blueWeb, blueDb, blueCache, redWeb, redDb, redVault] as const;
