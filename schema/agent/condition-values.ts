// Values in the texts of conditions: hosts send these, and never a sentence. Each has a pattern, so that operators never read a text, or
// run a command, that a host has made up.
import { AddressError, parseIp, parseMac } from "../address/index.ts";
import { namePattern } from "../plain/index.ts";

interface ValueRule {
  /** A part of a regular expression, without groups that capture. */
  readonly pattern: string;
  readonly isValid?: (text: string) => boolean;
}

const entry = "[a-z]{1,8} [a-z]{1,12} \\d{1,8} [0-9a-f:.]{2,45}";

export const conditionValues = {
  /**
   * Device names of ordinary systems. The kernel accepts more (dev_valid_name() in net/core/dev.c), also ones that a
   * shell would execute.
   */
  device: { pattern: "[A-Za-z0-9_.@:-]{1,15}" },
  number: { pattern: "\\d{1,16}" },
  network: { pattern: namePattern.slice(1, -1) },
  ip: { pattern: "[0-9a-f:.]{2,45}", isValid: (text) => parses(text, parseIp) },
  mac: { pattern: "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", isValid: (text) => parses(text, parseMac) },
  filter: { pattern: "(?:iptables|ip6tables|arptables)" },
  lost: { pattern: "(?:all IPv4|all IPv6|all ARP)" },
  /** In the format of `nft list chain`: family, table, chain. */
  chain: { pattern: "(?:inet|ip|ip6|arp|bridge|netdev) [A-Za-z0-9_.-]{1,32} [A-Za-z0-9_.-]{1,32}" },
  guard: { pattern: "--(?:anti-spoof|underlay-filter)" },
  reasons: { pattern: "(?:[a-z0-9]{1,16}(?:, [a-z0-9]{1,16}){0,15})?" },
  entries: { pattern: `${entry}(?:, ${entry}){0,4}` },
  /** `errnoNames` in node-agent/kernel/sockets/request-socket.ts. The kernel's own text beside it is omitted. */
  errno: {
    pattern:
      "(?:EPERM, needs CAP_NET_ADMIN|ENOENT|ENOMEM, the kernel has no memory for it|EBUSY|EEXIST|ENODEV, no such device|EINVAL|" +
      "ENOSPC|EOPNOTSUPP|EAFNOSUPPORT|EADDRINUSE|ENOBUFS, the kernel's table is full|no answer from the kernel|errno \\d{1,5})",
  },
  make: {
    pattern:
      "ip link add [A-Za-z0-9_.@:-]{1,15} type vxlan id \\d{1,8} local [0-9a-f:.]{2,45} dstport \\d{1,5} nolearning proxy l2miss l3miss; " +
      "ip link set [A-Za-z0-9_.@:-]{1,15} (?:master [A-Za-z0-9_.@:-]{1,15} )?up",
  },
  misfits: {
    pattern:
      "(?:(?:; )?(?:it has no VNI of its own|it has VNI \\d{1,8}|it is without (?:proxy|l2miss|l3miss)(?: and (?:proxy|l2miss|l3miss)){0,2}|" +
      "it uses UDP port \\d{1,5}, not \\d{1,5}|its tunnel runs over IPv[46], this host's over IPv[46]|" +
      "it has a default destination \\(remote or group\\), which hides every l2miss)){1,5}",
  },
  /** What only the controller fills in. */
  time: { pattern: "[0-9TZ:.-]{20,24}" },
  vms: { pattern: "(?:1 VM|\\d{1,9} VMs)" },
  name: { pattern: namePattern.slice(1, -1) },
} as const satisfies Readonly<Record<string, ValueRule>>;

export type ConditionValueType = keyof typeof conditionValues;

/** Whether a host may send this text as a value of this type. */
export function isConditionValue(type: ConditionValueType, text: string): boolean {
  const { pattern, isValid }: ValueRule = conditionValues[type];
  return new RegExp(`^${pattern}$`).test(text) && (isValid?.(text) ?? true);
}

function parses(text: string, parse: (text: string) => string): boolean {
  try {
    return parse(text) === text;
  } catch (error) {
    if (error instanceof AddressError) return false;
    throw error;
  }
}
