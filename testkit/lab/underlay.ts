// The plan of a lab's underlay: names, addresses, and the `ip` commands that make them. Pure.
export type UnderlayFamily = 4 | 6;

export interface UnderlayPlan {
  /** Namespace of the switch: a bridge with one port per host and one for the controller. */
  readonly switch: string;
  readonly controller: Attachment;
  readonly hosts: readonly (Attachment & { readonly name: string })[];
  readonly mtu: number;
}

/** A namespace on the underlay. Its own device is `underlayDevice`. */
export interface Attachment {
  readonly namespace: string;
  readonly address: string;
  readonly prefixLength: number;
  /** The switch's port to it. */
  readonly switchPort: string;
}

export const underlayDevice = "eth0";
const switchDevice = "switch";
const controllerNumber = 250;
const maxHosts = controllerNumber - 1;

/** "a" … "z", then "h27" and on. */
export function hostNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => (i < 26 ? String.fromCharCode(97 + i) : `h${i + 1}`));
}

/** @throws RangeError for names that no namespace can bear, repeated names, and more hosts than addresses */
export function planUnderlay(
  prefix: string,
  names: readonly string[],
  family: UnderlayFamily,
  mtu: number,
): UnderlayPlan {
  if (names.length > maxHosts) throw new RangeError(`a lab has at most ${maxHosts} hosts, got ${names.length}`);
  if (new Set(names).size < names.length) throw new RangeError(`host names repeat: ${names.join(", ")}`);
  const reserved = names.find((name) => !/^[A-Za-z0-9._-]{1,40}$/.test(name) || name === "net" || name === "ctl");
  if (reserved !== undefined) throw new RangeError(`"${reserved}" cannot name a host of a lab`);
  const attach = (name: string, number: number): Attachment => ({
    namespace: `${prefix}-${name}`,
    address: family === 4 ? `192.0.2.${number}` : `2001:db8::${number.toString(16)}`,
    prefixLength: family === 4 ? 24 : 64,
    switchPort: `port${number}`,
  });
  return {
    switch: `${prefix}-net`,
    controller: attach("ctl", controllerNumber),
    hosts: names.map((name, i) => ({ name, ...attach(name, i + 1) })),
    mtu,
  };
}

export function attachments(plan: UnderlayPlan): Attachment[] {
  return [plan.controller, ...plan.hosts];
}

export function namespacesOf(plan: UnderlayPlan): string[] {
  return [plan.switch, ...attachments(plan).map((each) => each.namespace)];
}

/** Run from outside. Both ends of every cable are born where they belong: no device ever appears on the machine itself. */
export function creation(plan: UnderlayPlan): string[] {
  return [
    ...namespacesOf(plan).map((name) => `netns add ${name}`),
    ...attachments(plan).map(
      ({ namespace, switchPort }) =>
        `link add name ${underlayDevice} mtu ${plan.mtu} netns ${namespace} type veth ` +
        `peer name ${switchPort} mtu ${plan.mtu} netns ${plan.switch}`,
    ),
  ];
}

/** Run in the switch's namespace. */
export function switchSetup(plan: UnderlayPlan): string[] {
  const ports = attachments(plan).map((each) => each.switchPort);
  return [
    `link add name ${switchDevice} mtu ${plan.mtu} type bridge mcast_snooping 0`,
    "link set lo up",
    ...[switchDevice, ...ports].map((device) => `link set ${device} addrgenmode none`),
    ...ports.map((port) => `link set ${port} master ${switchDevice} up`),
    `link set ${switchDevice} up`,
  ];
}

/** Run in the attached namespace. */
export function attachmentSetup({ address, prefixLength }: Attachment): string[] {
  const flags = address.includes(":") ? " nodad" : "";
  return [
    "link set lo up",
    `addr add ${address}/${prefixLength} dev ${underlayDevice}${flags}`,
    `link set ${underlayDevice} up`,
    settled(underlayDevice),
  ];
}

/** Run in the switch's namespace when all ends are up. */
export function switchSettled(plan: UnderlayPlan): string[] {
  return attachments(plan).map(({ switchPort }) => settled(switchPort));
}

/**
 * The kernel may take a second to act on a carrier that came up, and drops packets sent until then. Asking for a single
 * link makes it act at once (Linux 6.8: `linkwatch_sync_dev` in `rtnl_getlink`).
 */
export function settled(device: string): string {
  return `link show dev ${device}`;
}
