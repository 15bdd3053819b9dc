// Decides which MAC addresses are pinned to which ports of a bridge, and the settings of pinned ports. Pure.
//
// A MAC with a registered port has a `static sticky` entry there: no frame from another port can move it. The port does not
// learn, so that its guest cannot attract another guest's traffic, and frames for unknown MACs are not flooded to it.
// Broadcast and multicast still reach it: local guests find each other with them.
import type { MacAddress } from "../../schema/address/index.ts";
import type { LocalGuest } from "./held-network.ts";
import type { GuestPort, PortBehaviour, PortChange } from "./port.ts";

/** By the name of the port. Without addresses: nothing is pinned to it yet. */
export type WantedPins = ReadonlyMap<string, ReadonlySet<MacAddress>>;

/**
 * The registered interfaces of one network on this host, as pins.
 * @param prepared of VMs that are being migrated to it. Their ports behave as those of pinned addresses; the addresses are not there
 *   before the commit, so until then frames for them go where the VM still runs.
 */
export function wantedPins(guests: readonly LocalGuest[], prepared: readonly LocalGuest[] = []): WantedPins {
  const wanted = new Map<string, Set<MacAddress>>();
  for (const { mac, port } of guests) {
    if (port === undefined) continue;
    wanted.set(port, (wanted.get(port) ?? new Set()).add(mac));
  }
  for (const { port } of prepared) if (port !== undefined && !wanted.has(port)) wanted.set(port, new Set());
  return wanted;
}

export function samePins(a: WantedPins, b: WantedPins): boolean {
  return a.size === b.size && [...a].every(([port, macs]) => sameMacs(macs, b.get(port)));
}

function sameMacs(a: ReadonlySet<MacAddress>, b: ReadonlySet<MacAddress> | undefined): boolean {
  return a.size === b?.size && [...a].every((mac) => b.has(mac));
}

const pinnedBehaviour: PortBehaviour = { learning: false, flood: false };
/** The defaults of a port that joins a bridge (new_nbp() in net/bridge/br_if.c). */
const defaultBehaviour: PortBehaviour = { learning: true, flood: true };

const onOff = (on: boolean): string => (on ? "on" : "off");

/** The former settings of the port, stored in its alias, so that they survive a restart of the agent. */
export function aliasOfPinned({ learning, flood }: PortBehaviour): string {
  return `nearmiss-port learning ${onOff(learning)} flood ${onOff(flood)}`;
}

export function behaviourInAlias(alias: string | undefined): PortBehaviour | undefined {
  const found = /^nearmiss-port learning (on|off) flood (on|off)$/.exec(alias ?? "");
  return found ? { learning: found[1] === "on", flood: found[2] === "on" } : undefined;
}

/**
 * @param before former settings of ports with another alias, by ifindex
 * @returns the changes, in an order that loses no frame for a pinned address
 */
export function planPorts(
  wanted: WantedPins,
  ports: readonly GuestPort[],
  before: ReadonlyMap<number, PortBehaviour>,
): PortChange[] {
  const macsOf = (port: GuestPort): ReadonlySet<MacAddress> => wanted.get(port.name) ?? new Set();
  // An address that is pinned to another port now is moved there by its pin, and need not be removed here.
  const pins = ports.flatMap((port) => (wanted.has(port.name) ? pin(port, macsOf(port)) : []));
  const unpins = ports.flatMap((port) => [
    ...(!wanted.has(port.name) ? restore(port, before.get(port.ifindex)) : []),
    ...port.pinned
      .filter((mac) => !macsOf(port).has(mac))
      .map((mac): PortChange => ({ kind: "unpin", ifindex: port.ifindex, mac })),
  ]);
  return [...pins, ...unpins];
}

function pin(port: GuestPort, macs: ReadonlySet<MacAddress>): PortChange[] {
  const { ifindex, alias, learning, flood } = port;
  return [
    ...(alias === undefined ? [{ kind: "alias", ifindex, alias: aliasOfPinned(port) } as const] : []),
    ...[...macs].filter((mac) => !port.pinned.includes(mac)).map((mac) => ({ kind: "pin", ifindex, mac }) as const),
    ...(learning || flood ? [{ kind: "behave", ifindex, ...pinnedBehaviour } as const] : []),
  ];
}

function restore(port: GuestPort, remembered: PortBehaviour | undefined): PortChange[] {
  const { ifindex } = port;
  const written = behaviourInAlias(port.alias);
  // The port has our pins, but its former settings are not recorded: another program set its alias, and the agent restarted.
  const was = written ?? remembered ?? (port.pinned.length > 0 ? defaultBehaviour : undefined);
  if (!was) return [];
  const { learning, flood } = was;
  const same = port.learning === learning && port.flood === flood;
  return [
    ...(same ? [] : [{ kind: "behave", ifindex, learning, flood } as const]),
    ...(written ? [{ kind: "alias", ifindex, alias: "" } as const] : []),
  ];
}
