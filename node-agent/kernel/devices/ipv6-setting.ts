// Whether a device has IPv6. Hardened hosts disable it for all devices, new ones included, and a tunnel without it takes no IPv6 neighbours.
import { readFileSync, writeFileSync } from "node:fs";

/** In the calling thread's network namespace. @returns the code of the error where the host does not let it be enabled */
export function enableIpv6(device: string): string | undefined {
  const file = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`;
  try {
    if (readFileSync(file, "utf8").trim() !== "0") writeFileSync(file, "0");
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A kernel without IPv6.
    return code === "ENOENT" ? undefined : String(code);
  }
}
