// Looks up a device of this host by its name in sysfs: cheap enough for hundreds of ports at each change.
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
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

/** @returns undefined where there is no such device */
export function readPortIfindex(name: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
  } catch {
    return undefined;
  }
}

/** Names and ifindexes of a bridge's ports, the tunnel's among them; empty where there is no such bridge. */
export function readBridgePorts(bridge: string): ReadonlyMap<string, number> {
  try {
    const names = readdirSync(`/sys/class/net/${bridge}/brif`);
    return new Map(
      names.flatMap((name) => {
        const ifindex = readPortIfindex(name);
        return ifindex === undefined ? [] : [[name, ifindex] as const];
      }),
    );
  } catch {
    return new Map();
  }
}

/** The device's own MAC address in six bytes; undefined where there is no such device. */
export function readDeviceMac(name: string): Buffer | undefined {
  try {
    const bytes = Buffer.from(readFileSync(`/sys/class/net/${name}/address`, "utf8").trim().replaceAll(":", ""), "hex");
    return bytes.length === 6 ? bytes : undefined;
  } catch {
    return undefined;
  }
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

/** Where a device is that is not a port of the network's bridge. */
export function findPlace(name: string): "elsewhere" | "free" | "absent" {
  const directory = `/sys/class/net/${name}`;
  if (linkOf(`${directory}/brport/bridge`) !== undefined) return "elsewhere";
  return existsSync(directory) ? "free" : "absent";
}
