// New addresses: every trial gets its own, so that guests, kernels, agents and controller are cold without clearing any cache.
// Pure.

export type Family = 4 | 6;

export const network = {
  name: "bench",
  vni: 100,
  subnets: ["10.64.0.0/10", "fd00:20::/64"],
} as const;

const prefixLengths = { 4: 10, 6: 64 } as const;

/** One interface of a VM, with one address. */
export interface Endpoint {
  /** Of the VM. */
  readonly name: string;
  readonly mac: string;
  readonly ip: string;
  readonly prefixLength: number;
  readonly family: Family;
}

/** Above the addresses of a scan of `scannedSubnet`. */
const firstNumber = 0x1_0000;
const maxEndpoints = 0x3f_0000 - 2;

/** The first /16 of the network: no endpoint is in it. */
export const scannedSubnet = { firstIp: "10.64.0.0", size: 0x1_0000 } as const;

/** @param number from 0; the same number, the same addresses. @throws RangeError beyond the subnet */
export function endpoint(number: number, family: Family): Endpoint {
  if (number > maxEndpoints) throw new RangeError(`the subnets have ${maxEndpoints} addresses, not ${number}`);
  const address = firstNumber + number + 1;
  const bytes = [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff);
  const [, second = 0, third, fourth] = bytes;
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const groups = [address >>> 16, address & 0xffff].map((group) => group.toString(16));
  return {
    name: `t${number}`,
    mac: `52:54:${hex.join(":")}`,
    ip: family === 4 ? `10.${64 + second}.${third}.${fourth}` : `fd00:20::${groups.join(":")}`,
    prefixLength: prefixLengths[family],
    family,
  };
}

/** Hands out endpoints, none twice. */
export class Addresses {
  #next = 0;

  fresh(family: Family): Endpoint {
    return endpoint(this.#next++, family);
  }
}
