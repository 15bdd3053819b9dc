// Addresses that an interface may take beside its own: single ones move between the interfaces that may have them, prefixes are what
// a VM routes. Which interface has a single one at present is in the `ips` of the inventory.
import { type IpAddress, parseIp, parseSubnet, type Subnet } from "../address/index.ts";
import { limits } from "../plain/index.ts";
import { type Static, Type } from "../typebox.ts";
import type { Faults } from "./input.ts";
import { closed, Name } from "./metadata.ts";

const AllowedAddress = Type.Object(
  {
    ip: Type.String({
      description: "An address, or a prefix of addresses that the VM routes",
      examples: ["10.20.1.100", "fd00:20::100", "172.16.0.0/12"],
    }),
  },
  { ...closed, title: "AllowedAddress" },
);
export const AllowedAddresses = Type.Array(AllowedAddress, {
  maxItems: limits.allowedAddressesPerInterface,
  description:
    "Addresses that the guest may take by announcing them, as keepalived does. Several interfaces may be allowed one address, and one of " +
    "them has it at a time: it is in the `ips` of that one. A prefix allows packets from it, and is not announced. Only with `port` or `parent`",
});

/** Body of POST /v1/networks/{name}/thaw. */
export const ThawInput = Type.Object(
  { ip: Type.String({ description: "An address that may be taken by several interfaces" }) },
  { ...closed, title: "ThawInput", examples: [{ ip: "10.20.1.100" }] },
);
export const ThawView = Type.Object(
  { network: Name, ip: Type.String(), thawed: Type.Boolean({ description: "false: it was not frozen" }) },
  { ...closed, title: "Thawed" },
);
export type ThawView = Static<typeof ThawView>;

export interface AllowedAddress {
  readonly ip: IpAddress | Subnet;
}

interface Allowing {
  readonly allowedAddresses?: readonly AllowedAddress[];
}

const isPrefix = (ip: IpAddress | Subnet): ip is Subnet => ip.includes("/");

/** Those that move between interfaces. */
export function movableIps({ allowedAddresses = [] }: Allowing): IpAddress[] {
  return allowedAddresses.flatMap(({ ip }) => (isPrefix(ip) ? [] : [ip]));
}

/** Without those that it has only as long as no other interface takes them. */
export function ownIps({ ips, ...allowing }: Allowing & { readonly ips: readonly IpAddress[] }): readonly IpAddress[] {
  const movable = movableIps(allowing);
  return movable.length === 0 ? ips : ips.filter((ip) => !movable.includes(ip));
}

interface AllowedInput {
  readonly allowedAddresses?: Static<typeof AllowedAddresses> | undefined;
  readonly ips?: readonly string[] | undefined;
  readonly port?: string | undefined;
  readonly parent?: string | undefined;
}

/** @param pointer of the interface */
export function parseAllowed(
  { allowedAddresses = [], ips = [], port, parent }: AllowedInput,
  pointer: string,
  faults: Faults,
): Allowing {
  const at = `${pointer}/allowedAddresses`;
  const parsed = allowedAddresses.flatMap(({ ip }, i) => {
    const found = faults.at(`${at}/${i}/ip`, () => (ip.includes("/") ? parseSubnet(ip) : parseIp(ip)));
    return found === undefined ? [] : [found];
  });
  parsed.forEach((ip, i) => {
    if (parsed.indexOf(ip) !== i) faults.add(at, `${ip} is listed twice`);
  });
  if (allowedAddresses.length > 0 && port === undefined && parent === undefined) {
    faults.add(at, "requires a port (or a parent), since only what a registered port announces is believed: name it");
  }
  if (
    allowedAddresses.length > 0 &&
    ips.filter((ip) => !parsed.some((each) => each === ip)).length + parsed.length > limits.ipsPerInterface
  ) {
    faults.add(at, `and ips are more than ${limits.ipsPerInterface} addresses together: allow fewer`);
  }
  return parsed.length === 0 ? {} : { allowedAddresses: parsed.map((ip) => ({ ip })) };
}
