// Looks up a device of this host by its name in sysfs: cheap enough for hundreds of ports at each change.
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import type { PortDevice } from "../../tables/port-claims.ts";

/** @param name of a device, without slashes. @returns undefined where it is a port of no bridge, or does not exist */
export function readPortDevice(name: string): PortDevice | undefined {
  const directory = `/sys/class/net/${name}`;
  const bridge = linkOf(`${directory}/brport/bridge`);
  if (bridge === undefined) return undefined;
  // Asked for in adopted bridges only.
  return { bridge, isHosts: () => existsSync(`${directory}/device`) || hasType(directory) };
}

function linkOf(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch {
    return undefined;
  }
}

/** Bonds, VLANs, bridges, tunnels and wireless cards name their type; taps and veths have none. */
function hasType(directory: string): boolean {
  try {
    return /^DEVTYPE=/m.test(readFileSync(`${directory}/uevent`, "utf8"));
  } catch {
    return false;
  }
}
